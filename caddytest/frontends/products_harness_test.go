// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package frontends_test

import (
	"net/http"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// nginxFront is nginx as in the manual of ngx_http_ssl_module. A certificate that is bad
// for another reason than its issuer is refused even by optional_no_ca.
func nginxFront() *frontEnd {
	return &frontEnd{
		preset:  "nginx",
		command: []string{"nginx", "-e", "stderr", "-p", "{dir}", "-c", "front.conf"},
		config: `
daemon off;
pid nginx.pid;
error_log stderr warn;
events {
}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server {
		listen 127.0.0.1:{port} ssl;
		ssl_certificate {pki}/server.pem;
		ssl_certificate_key {pki}/server-key.pem;
		ssl_client_certificate {pki}/{ca};
		ssl_verify_client {verify};
		location / {
			proxy_pass http://{caddy};
			proxy_set_header Host $host;
			proxy_set_header Ssl-Client-Cert $ssl_client_escaped_cert;
			proxy_set_header Ssl-Client-Verify $ssl_client_verify;
		}
	}
}
`,
		verify:  "optional",
		lenient: "optional_no_ca",
		fields:  []string{"Ssl-Client-Cert", "Ssl-Client-Verify"},
		adds:    http.Header{"Via": {"1.0 Caddy"}}, // nginx uses HTTP/1.0 for upstreams
		refusal: http.StatusBadRequest,
		blames:  []string{expiredName, serverName},
	}
}

// haproxyFront is HAProxy as in its configuration manual.
func haproxyFront() *frontEnd {
	return &frontEnd{
		preset:  "haproxy",
		command: []string{"haproxy", "-db", "-f", "{dir}/front.conf"},
		config: `
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 30s

frontend tls
	bind 127.0.0.1:{port} ssl crt {pki}/server-both.pem ca-file {pki}/{ca} verify {verify}
	http-request set-header X-SSL-Client-DER %[ssl_c_der,base64]
	http-request set-header X-SSL-Client-Chain-DER %[ssl_c_chain_der,base64]
	http-request set-header X-SSL-Client-Verify %[ssl_c_verify]
	default_backend caddy

backend caddy
	server caddy {caddy}
`,
		verify:  "optional",
		lenient: "optional ca-ignore-err all crt-ignore-err all",
		fields:  []string{"X-SSL-Client-DER", "X-SSL-Client-Verify", "X-SSL-Client-Chain-DER"},
	}
}

// apacheFront is Apache httpd as in the manuals of mod_ssl and mod_headers. A certificate
// that is bad for another reason than its issuer is refused even by optional_no_ca.
func apacheFront() *frontEnd {
	return &frontEnd{
		preset:  "apache",
		command: []string{"apache2", "-DFOREGROUND", "-f", "{dir}/front.conf"},
		config: `
ServerRoot {dir}
DefaultRuntimeDir {dir}
PidFile {dir}/apache2.pid
ErrorLog /dev/stderr
ServerName dash.example
KeepAliveTimeout 30
{user}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
StartServers 1
Listen 127.0.0.1:{port}
<VirtualHost *:{port}>
	SSLEngine on
	SSLCertificateFile {pki}/server.pem
	SSLCertificateKeyFile {pki}/server-key.pem
	SSLCACertificateFile {pki}/{ca}
	SSLVerifyClient {verify}
	SSLVerifyDepth 2
	SSLOptions +StdEnvVars +ExportCertData
	RequestHeader set X-SSL-Client-Cert "%{SSL_CLIENT_CERT}s"
	RequestHeader set X-SSL-Client-Verify "%{SSL_CLIENT_VERIFY}s"
	ProxyPreserveHost On
	ProxyPass / http://{caddy}/
</VirtualHost>
`,
		verify:  "optional",
		lenient: "optional_no_ca",
		fields:  []string{"X-SSL-Client-Cert", "X-SSL-Client-Verify"},
		adds:    http.Header{"X-Forwarded-Server": {testhandler.SiteHost}},
		blames:  []string{expiredName, serverName},

		dropsHops: true,
	}
}
