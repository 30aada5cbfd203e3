/* SPDX-License-Identifier: MIT */
#include "policy_default.h"

#define RULE(path, capabilities) "path \"" path "\" {\n  capabilities = [" capabilities "]\n}\n"
#define READ "\"read\""
#define UPDATE "\"update\""

const char policy_default_text[] =
    "# A token may look at itself, renew itself, end itself.\n"         //
    RULE("auth/token/lookup-self", READ)                                //
    RULE("auth/token/renew-self", UPDATE)                               //
    RULE("auth/token/revoke-self", UPDATE)                              //
    "\n# It may ask what it is allowed to do.\n"                        //
    RULE("sys/capabilities-self", UPDATE)                               //
    RULE("sys/internal/ui/resultant-acl", READ)                         //
    "\n# It may renew and look up leases that it knows.\n"              //
    RULE("sys/renew", UPDATE)                                           //
    RULE("sys/leases/renew", UPDATE)                                    //
    RULE("sys/leases/lookup", UPDATE)                                   //
    "\n# It has a room of its own.\n"                                   //
    RULE("cubbyhole/*", "\"create\", \"read\", \"update\", \"delete\", \"list\"") //
    "\n# It may wrap and unwrap, hash, and ask for a control group.\n"  //
    RULE("sys/wrapping/wrap", UPDATE)                                   //
    RULE("sys/wrapping/lookup", UPDATE)                                 //
    RULE("sys/wrapping/unwrap", UPDATE)                                 //
    RULE("sys/tools/hash", UPDATE)                                      //
    RULE("sys/tools/hash/*", UPDATE)                                    //
    RULE("sys/control-group/request", UPDATE)                           //
    "\n# It may read its own entity, and sign in with it.\n"            //
    RULE("identity/entity/id/{{identity.entity.id}}", READ)             //
    RULE("identity/entity/name/{{identity.entity.name}}", READ)         //
    RULE("identity/oidc/provider/+/authorize", "\"read\", \"update\"");
