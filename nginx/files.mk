# SPDX-License-Identifier: MIT
NGINX_SNIPPETS = \
	%D%/snippets/errors.conf \
	%D%/snippets/http.conf \
	%D%/snippets/limits.conf \
	%D%/snippets/locations.conf \
	%D%/snippets/params.conf \
	%D%/snippets/tls.conf \
	%D%/snippets/worker.conf
