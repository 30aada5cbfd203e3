/* SPDX-License-Identifier: MIT
 *
 * An entry for a caller is what the database said of a token on a site and for a namespace. It
 * was made of the token and those that it ends with, of policies and of two namespaces; when the
 * first of the line expires is written in it, and its networks, since those depend on the moment
 * and the client. Its policies are another entry, found by their text: many tokens have the same,
 * and what was compiled from a text is true for ever.
 */
#include "store_caller.h"

#include "arena.h"
#include "cache_gate.h"
#include "cache_topic.h"
#include "go_json.h"
#include "network.h"
#include "policy_set.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 64 }; /* a caller that is made of more is asked for each time */

/* The columns of STORE_CALLER_SELECT, in order, and the object after them. */
enum {
    ACCESSOR,
    TOKEN_NAMESPACE,
    NAMESPACE_ID,
    ADDRESS_ALLOWED,
    POLICIES,
    TOKEN_NAMESPACE_ID,
    LINE,
    ENDS_AT,
    BOUND_CIDRS,
    DISPLAY_NAME,
    META,
    ISSUED_AT,
    TTL,
    USES_LEFT,
    SERVER,
    OBJECT
};
_Static_assert((int)OBJECT == (int)STORE_CALLER_COLUMNS, "as the header says");

/* The content of a caller's entry; its texts follow, each with its NUL: the accessor, the path of
 * the token's namespace, its networks ("": any), its display name and meta. */
struct memory {
    struct cache_entry *policies; /* held */
    int64_t namespace_id;
    int64_t ends_at; /* microseconds since 1970, by the database's clock; INT64_MAX: never */
    struct caller_facts facts; /* without their texts */
    char texts[];
};

enum { TEXTS = 5 };

void credential_parameters(struct db_parameter parameters[static CREDENTIAL_PARAMETERS],
                           const struct credential *credential, bool spend)
{
    parameters[0] = (struct db_parameter){(const char *)credential->hash, SECRET_HASH_SIZE};
    parameters[1] = (struct db_parameter){credential->site, 0};
    parameters[2] = (struct db_parameter){credential->named, 0};
    parameters[3] = (struct db_parameter){credential->address, 0};
    parameters[4] = (struct db_parameter){credential->request_id, 0};
    parameters[5] = (struct db_parameter){!spend               ? "false"
                                          : credential->is_free ? NULL
                                                                : "true",
                                          0};
}

void caller_fini(struct caller *caller)
{
    cache_release(caller->policies_entry);
    cache_release(caller->entry);
    *caller = (struct caller){.known = false};
}

void object_fini(struct object *object)
{
    if (object->close)
        object->close(object->source);
    json_decref(object->json);
    cache_release(object->entry);
    *object = (struct object){.json = NULL};
}

static int64_t number_of(const char *text, int64_t otherwise)
{
    return text ? strtoll(text, NULL, 10) : otherwise;
}

/* --- what was read already */

static void caller_key(struct cache_key *key, const struct credential *credential)
{
    cache_key_init(key, CACHE_CALLER);
    cache_key_bytes(key, credential->hash, sizeof credential->hash);
    cache_key_text(key, credential->site);
    cache_key_text(key, credential->named);
}

static void object_key(struct cache_key *key, const struct store_object *what,
                       int64_t namespace_id)
{
    cache_key_init(key, what->kind);
    cache_key_number(key, namespace_id);
    cache_key_text(key, what->type);
    cache_key_text(key, what->name);
}

static const struct policy_set *set_in(const struct cache_entry *entry)
{
    struct policy_set *set;

    memcpy(&set, cache_bytes(entry), sizeof set);
    return set;
}

static const char *next_text(const char *text)
{
    return text + strlen(text) + 1;
}

/* The caller, if it may be let in: who may not is none of memory's business. */
bool store_caller_recall(const struct credential *credential, const struct cache_view *view,
                         struct caller *caller)
{
    struct cache_key key;

    caller_key(&key, credential);
    struct cache_entry *entry = cache_find(credential->cache, view, &key);
    if (!entry)
        return false;
    const struct memory *memory = cache_bytes(entry);
    const char *accessor = memory->texts;
    const char *token_namespace = next_text(accessor);
    const char *networks = next_text(token_namespace);
    bool good = view->database_us < memory->ends_at &&
                (!*networks || network_list_has(networks, credential->address));
    *caller = (struct caller){
        .known = true,
        .address_allowed = true,
        .is_remembered = true,
        .namespace_id = memory->namespace_id,
        .accessor = accessor,
        .token_namespace = token_namespace,
        .policies = set_in(memory->policies),
        .facts = memory->facts,
        .entry = entry,
    };
    caller->facts.display_name = next_text(networks);
    caller->facts.meta = next_text(caller->facts.display_name);
    return good;
}

/* The object as text, as it is kept. */
static bool recall_text(const struct credential *credential, const struct cache_view *view,
                        const struct store_object *what, int64_t namespace_id,
                        struct object *object)
{
    struct cache_key key;

    object_key(&key, what, namespace_id);
    object->entry = cache_find(credential->cache, view, &key);
    if (!object->entry)
        return false;
    object->text = cache_bytes(object->entry);
    object->length = cache_size(object->entry);
    if (what->as_text)
        return true;
    object->json = json_loadb(object->text, object->length, JSON_DECODE_ANY, NULL);
    return object->json != NULL;
}

/* All that is asked for, or nothing. */
static bool recall(const struct credential *credential, const struct store_object *what,
                   struct caller *caller, struct object *object)
{
    struct cache_view view;

    if (credential->asks_database || (object && !what) ||
        !cache_gate_enter(cache_gate(credential->cache), &view))
        return false;
    if (store_caller_recall(credential, &view, caller) &&
        (!what ||
         (what->find && what->find(credential, &view, what, caller->namespace_id, object)) ||
         recall_text(credential, &view, what, caller->namespace_id, object)))
        return true;
    caller_fini(caller);
    if (object)
        object_fini(object);
    return false;
}

/* --- what is read now */

static void free_set(void *bytes)
{
    struct policy_set *set;

    memcpy(&set, bytes, sizeof set);
    policy_set_free(set);
}

/* [[name, text or null], …] of [[name, …], {name: text, …}], which authenticate() says, or null in
 * place of the texts. NULL: out of memory. Ours. */
static json_t *pairs_of(const char *text)
{
    json_auto_t *said = json_loads(text, 0, NULL);
    const json_t *texts = json_array_get(said, 1);
    json_t *pairs = said ? json_array() : NULL, *name;
    size_t i;

    json_array_foreach(json_array_get(said, 0), i, name)
    {
        json_t *policy = json_object_get(texts, json_string_value(name));
        if (json_array_append_new(pairs, json_pack("[O, O?]", name, policy)) != 0) {
            json_decref(pairs);
            return NULL;
        }
    }
    return pairs;
}

static struct cache_entry *compile(struct cache *cache, const struct cache_key *key,
                                   const char *text, struct error *err)
{
    json_auto_t *policies = text ? pairs_of(text) : NULL;
    struct policy_set *set = NULL;
    struct cache_entry *entry = NULL;

    if (text && !policies)
        error_exhausted(err);
    else
        set = policy_set_new(policies, err);
    if (!set)
        return NULL;
    entry = cache_entry_new(cache, key, 0, NULL, 0,
                            &(struct cache_content){
                                .bytes = &set,
                                .size = sizeof set,
                                .elsewhere = policy_set_size(set),
                                .fini = free_set,
                            });
    if (!entry) {
        policy_set_free(set);
        error_exhausted(err);
    } else if (policy_set_is_good(set)) {
        cache_land(cache, entry);
    }
    return entry;
}

/* The compiled policies of a text, held by us. NULL with *err. */
static struct cache_entry *policies_of(struct cache *cache, const char *text, struct error *err)
{
    unsigned char hash[SECRET_HASH_SIZE];
    struct cache_key key;

    if (!secret_hash(hash, text ? text : "", text ? strlen(text) : 0)) {
        error_set(err, ERROR_INTERNAL, "internal error");
        return NULL;
    }
    cache_key_init(&key, CACHE_POLICIES);
    cache_key_bytes(&key, hash, sizeof hash);
    struct cache_entry *entry = cache_find(cache, NULL, &key);
    return entry ? entry : compile(cache, &key, text, err);
}

/* "" for null. NULL: out of memory. */
static const char *copy_text(const struct db_result *result, unsigned column, struct arena *arena)
{
    const char *text = db_result_text(result, 0, column);

    return arena_strdup(arena, text ? text : "");
}

static bool read_facts(const struct db_result *result, struct arena *arena,
                       struct caller_facts *facts)
{
    *facts = (struct caller_facts){
        .token_namespace_id = number_of(db_result_text(result, 0, TOKEN_NAMESPACE_ID), 0),
        .display_name = copy_text(result, DISPLAY_NAME, arena),
        .meta = copy_text(result, META, arena),
        .issued_at = number_of(db_result_text(result, 0, ISSUED_AT), 0),
        .ttl = number_of(db_result_text(result, 0, TTL), 0),
        .uses_left = number_of(db_result_text(result, 0, USES_LEFT), 0),
    };
    return facts->display_name && facts->meta;
}

static bool read_caller(const struct db_result *result, struct cache *cache,
                        struct arena *arena, struct caller *caller, struct error *err)
{
    caller->known = db_result_rows(result) == 1;
    caller->address_allowed = caller->known && db_result_true(result, 0, ADDRESS_ALLOWED);
    if (!caller->address_allowed)
        return true;
    caller->namespace_id = number_of(db_result_text(result, 0, NAMESPACE_ID), 0);
    caller->accessor = copy_text(result, ACCESSOR, arena);
    caller->token_namespace = copy_text(result, TOKEN_NAMESPACE, arena);
    if (!caller->accessor || !caller->token_namespace ||
        !read_facts(result, arena, &caller->facts))
        return error_exhausted(err);
    caller->policies_entry = policies_of(cache, db_result_text(result, 0, POLICIES), err);
    if (!caller->policies_entry)
        return false;
    caller->policies = set_in(caller->policies_entry);
    return true;
}

static bool read_object(const struct db_result *result, const struct store_object *what,
                        struct arena *arena, struct object *object, struct error *err)
{
    const char *text = db_result_text(result, 0, OBJECT);

    if (!text)
        return true;
    object->json = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!object->json)
        return error_exhausted(err);
    if (!what)
        return true;
    object->text = go_json(object->json, arena);
    if (!object->text)
        return error_exhausted(err);
    object->length = strlen(object->text);
    return true;
}

/* --- what is kept of it */

/* Topics that grow; more than TOPICS_MAX are too many. */
struct topics {
    uint32_t list[TOPICS_MAX];
    size_t count;
};

static void add_topic(struct topics *topics, uint32_t topic)
{
    if (topics->count < TOPICS_MAX)
        topics->list[topics->count] = topic;
    topics->count++;
}

/* The accessors of {a,b,c}. */
static void add_line(struct topics *topics, const struct cache *cache, const char *line)
{
    char accessor[SECRET_ACCESSOR_TEXT + 1];

    for (const char *next = line + 1; *next;) {
        size_t length = strcspn(next, ",}");
        text_format(accessor, sizeof accessor, "%.*s", (int)length, next);
        add_topic(topics, cache_topic_token(cache, accessor));
        next += length + 1;
    }
}

static void add_policies(struct topics *topics, const struct cache *cache,
                         const struct policy_set *set, int64_t namespace_id)
{
    for (size_t i = 0; i < policy_set_count(set); i++)
        add_topic(topics, cache_topic_policy(cache, namespace_id, policy_set_name(set, i)));
}

static void release_memory(void *bytes)
{
    cache_release(((struct memory *)bytes)->policies);
}

/* The content of the entry, in the arena. */
static bool write_memory(struct cache_content *content, const struct db_result *result,
                         const struct caller *caller, struct arena *arena)
{
    const char *networks = db_result_text(result, 0, BOUND_CIDRS);
    const char *const texts[TEXTS] = {caller->accessor, caller->token_namespace,
                                      networks ? networks : "", caller->facts.display_name,
                                      caller->facts.meta};
    size_t size = sizeof(struct memory);

    for (size_t i = 0; i < TEXTS; i++)
        size += strlen(texts[i]) + 1;
    struct memory *memory = arena_alloc(arena, size);
    if (!memory)
        return false;
    *memory = (struct memory){
        .policies = caller->policies_entry,
        .namespace_id = caller->namespace_id,
        .ends_at = number_of(db_result_text(result, 0, ENDS_AT), INT64_MAX),
        .facts = caller->facts,
    };
    memory->facts.display_name = memory->facts.meta = NULL; /* or no two entries would agree */
    char *next = memory->texts;
    for (size_t i = 0; i < TEXTS; i++) {
        strcpy(next, texts[i]);
        next += strlen(next) + 1;
    }
    *content = (struct cache_content){.bytes = memory, .size = size, .fini = release_memory};
    return true;
}

static void keep_caller(const struct credential *credential, uint64_t ticket,
                        const struct db_result *result, struct caller *caller,
                        struct arena *arena)
{
    struct cache *cache = credential->cache;
    int64_t token_namespace_id = caller->facts.token_namespace_id;
    struct topics topics = {.count = 0};
    struct cache_content content;
    struct cache_key key;

    add_topic(&topics, cache_topic_callers(cache));
    add_topic(&topics, cache_topic_namespace(cache, token_namespace_id));
    add_topic(&topics, cache_topic_namespace(cache, caller->namespace_id));
    add_line(&topics, cache, db_result_text(result, 0, LINE));
    add_policies(&topics, cache, caller->policies, token_namespace_id);
    if (topics.count > TOPICS_MAX || !write_memory(&content, result, caller, arena))
        return;
    caller_key(&key, credential);
    struct cache_entry *entry =
        cache_entry_new(cache, &key, ticket, topics.list, topics.count, &content);
    if (!entry)
        return;
    caller->policies_entry = NULL; /* the entry's from here on, which the caller holds */
    caller->entry = entry;
    cache_land(cache, entry);
}

static uint32_t topic_of(const struct cache *cache, const struct store_object *what,
                         int64_t namespace_id)
{
    switch (what->kind) {
    case CACHE_RUNTIME:
        return cache_topic_runtime(cache, namespace_id, what->type, what->name);
    default:
        return cache_topic_plugins(cache, namespace_id);
    }
}

static void keep_object(struct cache *cache, uint64_t ticket, const struct store_object *what,
                        int64_t namespace_id, const struct object *object)
{
    uint32_t topic = topic_of(cache, what, namespace_id);
    struct cache_key key;

    object_key(&key, what, namespace_id);
    struct cache_entry *entry =
        cache_entry_new(cache, &key, ticket, &topic, 1,
                        &(struct cache_content){.bytes = object->text, .size = object->length});
    if (entry)
        cache_land(cache, entry);
    cache_release(entry);
}

/* Whatever may be found again: of callers that are let in, to namespaces that exist, as the server
 * has it whose changes are followed. */
static bool may_keep(const struct credential *credential, const struct db_result *result,
                     const struct caller *caller)
{
    return caller->address_allowed && caller->namespace_id != 0 &&
           db_result_text(result, 0, LINE) &&
           cache_gate_knows(cache_gate(credential->cache), db_result_text(result, 0, SERVER));
}

static void keep(const struct credential *credential, uint64_t ticket,
                 const struct db_result *result, const struct store_object *what,
                 struct caller *caller, const struct object *object, struct arena *arena)
{
    if (!may_keep(credential, result, caller))
        return;
    if (what && object->text)
        keep_object(credential->cache, ticket, what, caller->namespace_id, object);
    if (policy_set_is_good(caller->policies))
        keep_caller(credential, ticket, result, caller, arena);
}

bool store_caller_read(const struct credential *credential, uint64_t ticket,
                       const struct db_result *result, struct arena *arena,
                       struct caller *caller, bool *keeps, struct error *err)
{
    caller_fini(caller);
    if (!read_caller(result, credential->cache, arena, caller, err))
        return false;
    *keeps = may_keep(credential, result, caller);
    keep(credential, ticket, result, NULL, caller, NULL, arena);
    return true;
}

bool store_caller_load_with(struct db *db, const struct db_statement *statement,
                            const struct db_parameter parameters[],
                            const struct credential *credential, const struct store_object *what,
                            struct arena *arena, struct caller *caller, struct object *object,
                            struct error *err)
{
    *caller = (struct caller){.known = false};
    if (object)
        *object = (struct object){.json = NULL};
    if (recall(credential, what, caller, object))
        return true;
    uint64_t ticket = cache_draw(credential->cache);
    struct db_result *result = db_execute(db, statement, parameters, err);
    bool good = result && read_caller(result, credential->cache, arena, caller, err) &&
                (!object || !caller->address_allowed ||
                 read_object(result, what, arena, object, err));
    if (good)
        keep(credential, ticket, result, what, caller, object, arena);
    db_result_free(result);
    return good;
}

bool store_caller_load(struct db *db, const struct credential *credential, struct arena *arena,
                       struct caller *caller, struct error *err)
{
    static const struct db_statement statement = {
        .name = "caller_load",
        .parameters = CREDENTIAL_PARAMETERS,
        .sql = STORE_CALLER_SELECT STORE_CALLER_FROM,
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS];

    credential_parameters(parameters, credential, true);
    return store_caller_load_with(db, &statement, parameters, credential, NULL, arena, caller, NULL,
                                  err);
}
