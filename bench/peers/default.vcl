vcl 4.1;
import std;
backend default { .host = "127.0.0.1"; .port = "@ORIGIN@"; }
sub vcl_recv { if (std.port(local.ip) == @PROXY_PLAIN@) { return (pass); } }
sub vcl_backend_response { set beresp.ttl = 10h; }
