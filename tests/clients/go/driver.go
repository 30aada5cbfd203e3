// Vault's own Go client, driven: a line of stdin asks for an operation, a line of stdout says what
// the client returned or raised. tests/e2e/clients.py has the words.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"
)

type ask struct {
	Operation, Path, Token, Namespace string
	Data                              map[string]interface{}
}

const container = "sys/plugins/runtimes/catalog/container/"

var client *api.Client

// One of the client's own methods for plugin runtimes.
func typed(operation, name string, data map[string]interface{}) (interface{}, error) {
	ctx := context.Background()
	switch kind := api.PluginRuntimeTypeContainer; operation {
	case "RegisterPluginRuntime":
		input := &api.RegisterPluginRuntimeInput{Name: name}
		text, err := json.Marshal(data)
		if err == nil {
			err = json.Unmarshal(text, input)
		}
		if err != nil {
			return nil, err
		}
		input.Type = kind
		return nil, client.Sys().RegisterPluginRuntime(ctx, input)
	case "GetPluginRuntime":
		return client.Sys().GetPluginRuntime(ctx, &api.GetPluginRuntimeInput{Name: name, Type: kind})
	case "ListPluginRuntimes":
		return client.Sys().ListPluginRuntimes(ctx, &api.ListPluginRuntimesInput{Type: kind})
	case "DeregisterPluginRuntime":
		return nil, client.Sys().DeregisterPluginRuntime(ctx, &api.DeregisterPluginRuntimeInput{Name: name, Type: kind})
	}
	return nil, errors.New("no such operation: " + operation)
}

// One of the client's own methods for what a program does before it comes to runtimes.
func call(method string, data map[string]interface{}) (interface{}, error) {
	text := func(key string) string { value, _ := data[key].(string); return value }
	sys, tokens := client.Sys(), client.Auth().Token()
	switch method {
	case "Sys.Health":
		return sys.Health()
	case "Sys.SealStatus":
		return sys.SealStatus()
	case "Sys.InitStatus":
		return sys.InitStatus()
	case "Sys.Leader":
		return sys.Leader()
	case "Sys.ListPolicies":
		return sys.ListPolicies()
	case "Sys.GetPolicy":
		return sys.GetPolicy(text("name"))
	case "Sys.PutPolicy":
		return nil, sys.PutPolicy(text("name"), text("policy"))
	case "Sys.DeletePolicy":
		return nil, sys.DeletePolicy(text("name"))
	case "Sys.CapabilitiesSelf":
		return sys.CapabilitiesSelf(text("path"))
	case "Token.Create":
		return tokens.Create(&api.TokenCreateRequest{Policies: []string{text("policy")}, TTL: text("ttl")})
	case "Token.LookupSelf":
		return tokens.LookupSelf()
	case "Token.RenewSelf":
		return tokens.RenewSelf(3600)
	case "Token.RevokeTree":
		return nil, tokens.RevokeTree(text("token"))
	}
	return nil, errors.New("no such method: " + method)
}

func perform(a ask) (interface{}, error) {
	logical := client.Logical()
	switch a.Operation {
	case "write":
		return logical.Write(a.Path, a.Data)
	case "read":
		return logical.Read(a.Path)
	case "list":
		return logical.List(a.Path) // GET ?list=true
	case "list otherwise":
		return logical.ReadWithData(a.Path, map[string][]string{"list": {"1"}})
	case "delete":
		return logical.Delete(a.Path)
	case "call":
		return call(a.Path, a.Data)
	}
	return typed(a.Operation, strings.TrimPrefix(a.Path, container), a.Data)
}

func outcome(a ask) map[string]interface{} {
	client.SetToken(a.Token)
	client.ClearNamespace()
	if a.Namespace != "" {
		client.SetNamespace(a.Namespace)
	}
	returned, err := perform(a)
	var refusal *api.ResponseError
	switch {
	case errors.As(err, &refusal):
		return map[string]interface{}{"raised": "ResponseError", "status": refusal.StatusCode,
			"text": strings.Join(refusal.Errors, ", ")}
	case err != nil:
		return map[string]interface{}{"raised": "error", "text": err.Error()}
	}
	return map[string]interface{}{"returned": returned}
}

func main() {
	var err error
	if client, err = api.NewClient(api.DefaultConfig()); err != nil { // by VAULT_ADDR and VAULT_CACERT
		log.Fatal(err)
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	in.UseNumber()
	for a := (ask{}); in.Decode(&a) == nil; a = (ask{}) {
		if err := out.Encode(outcome(a)); err != nil {
			log.Fatal(err)
		}
	}
}
