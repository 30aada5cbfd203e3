# SPDX-License-Identifier: MIT
NGINX_SITES = \
	%D%/metrics.conf \
	%D%/runtime-catalog-only.conf \
	%D%/runtime-catalog.conf \
	%D%/shared-hosting.conf
NGINX_SNIPPETS = \
	%D%/snippets/error-page.conf \
	%D%/snippets/errors.conf \
	%D%/snippets/http.conf \
	%D%/snippets/limits.conf \
	%D%/snippets/locations.conf \
	%D%/snippets/params.conf \
	%D%/snippets/rates-http.conf \
	%D%/snippets/rates.conf \
	%D%/snippets/tls.conf \
	%D%/snippets/worker.conf
