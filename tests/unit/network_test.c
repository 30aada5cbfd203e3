/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "network.h"

static const struct {
    const char *list, *address;
    bool has;
} cases[] = {
    {"{10.0.0.0/8}", "10.1.2.3", true},
    {"{10.0.0.0/8}", "11.0.0.0", false},
    {"{10.0.0.0/8}", "9.255.255.255", false},
    {"{192.0.2.7/32}", "192.0.2.7", true},
    {"{192.0.2.7/32}", "192.0.2.6", false},
    {"{192.0.2.7}", "192.0.2.7", true},
    {"{192.0.2.0/25}", "192.0.2.127", true},
    {"{192.0.2.0/25}", "192.0.2.128", false},
    {"{172.16.0.0/12}", "172.31.255.255", true},
    {"{172.16.0.0/12}", "172.32.0.0", false},
    {"{0.0.0.0/0}", "203.0.113.9", true},
    {"{0.0.0.0/0}", "::1", false},
    {"{::/0}", "203.0.113.9", false},
    {"{::/0}", "2001:db8::1", true},
    {"{2001:db8::/32}", "2001:db8:ffff::1", true},
    {"{2001:db8::/32}", "2001:db9::1", false},
    {"{2001:db8::1/128}", "2001:db8::1", true},
    {"{2001:db8::1/128}", "2001:db8::2", false},
    /* PostgreSQL takes neither for the other. */
    {"{10.0.0.0/8}", "::ffff:10.1.2.3", false},
    {"{::ffff:10.0.0.0/104}", "::ffff:10.1.2.3", true},
    {"{10.0.0.0/8,2001:db8::/32}", "2001:db8::1", true},
    {"{2001:db8::/32,10.0.0.0/8}", "10.1.2.3", true},
    {"{2001:db8::/32,10.0.0.0/8}", "11.1.2.3", false},
    {"{}", "10.1.2.3", false},
    {"", "10.1.2.3", false},
    {"10.0.0.0/8", "10.1.2.3", false},
    {"{10.0.0.0/33}", "10.1.2.3", false},
    {"{10.0.0.0/-1}", "10.1.2.3", false},
    {"{10.0.0.0/}", "10.1.2.3", false},
    {"{10.0.0.0/8x}", "10.1.2.3", false},
    {"{nonsense}", "10.1.2.3", false},
    {"{1111111111111111111111111111111111111111111111111111111111/8,10.0.0.0/8}", "10.1.2.3", true},
    {"{0.0.0.0/0}", NULL, false},
    {"{0.0.0.0/0}", "", false},
    {"{0.0.0.0/0}", "localhost", false},
};

static void an_address_is_in_a_network_as_postgresql_has_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (network_list_has(cases[i].list, cases[i].address) != cases[i].has)
            fail_msg("%s in %s", cases[i].address ? cases[i].address : "nothing", cases[i].list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_in_a_network_as_postgresql_has_it),
    };

    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
