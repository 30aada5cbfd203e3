// node-vault, driven: a line of stdin asks for an operation, a line of stdout says what node-vault
// returned or raised. tests/e2e/clients.py has the words.
'use strict';

const fs = require('fs');
const readline = require('readline');
const vault = require('node-vault');

const ca = process.env.VAULT_CACERT;
const client = vault({ requestOptions: ca ? { ca: fs.readFileSync(ca) } : {} }); // by VAULT_ADDR

async function listOtherwise(path) {
    client.noCustomHTTPVerbs = true; // GET ?list=1
    try {
        return await client.list(path);
    } finally {
        client.noCustomHTTPVerbs = false;
    }
}

const operations = {
    write: (path, data) => client.write(path, data),
    read: (path) => client.read(path),
    list: (path) => client.list(path), // LIST
    'list otherwise': listOtherwise,
    delete: (path) => client.delete(path),
    call: (path, data) => client[path](data || {}), // one of the client's own methods
};

async function outcome({ operation, path, data, token, namespace }) {
    client.token = token;
    client.namespace = namespace;
    try {
        return { returned: await operations[operation](path, data) };
    } catch (error) {
        const status = error.response && error.response.statusCode;
        return { raised: error.constructor.name, status, text: error.message };
    }
}

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        console.log(JSON.stringify(await outcome(JSON.parse(line))));
    }
})();
