package healthcheck

const usageText = `healthcheck asks a service for its health, and exits with 0 if it is well, else with 1.

  healthcheck [flags] URL...           ask once and print the answer
  healthcheck --watch [flags] URL...   ask again and again and draw the answers
  healthcheck --all [flags] URL        ask every endpoint and print what is wrong with the answers
  healthcheck rollout [flags] URL      ask during a deployment and print which requests failed

URL:
  http://localhost:8000                its readiness: /api/health/ready/
  http://localhost:8000/internal/live  this path, as it is
  unix:///run/app.sock                 over a UNIX socket; a path comes after a colon, as in
                                       unix:///run/app.sock:/internal/live

Endpoint. With one of these flags, and with --all, a path in the URL is the prefix of the endpoints,
instead of /api/health:
  --live, --ready, --startup, --detailed
  --check NAME         one check
  --group NAME         the readiness of one group

Flags:
  --fail-on LEVEL      exit with 1 from this level on: error (the default), or warning, for degraded too
  --timeout DURATION   the limit for a whole answer; 3s by default
  --json               print the body of the answer as it is
  --watch              draw a row for each URL and each address of its name, until Ctrl-C;
                       without a terminal print a line for each change
  --interval DURATION  the time between two requests of --watch; 2s by default
  --all                test every endpoint of a service
  --help
` + requestUsage + `
See also healthcheck rollout --help.
`

const rolloutUsageText = `healthcheck rollout sends requests during a deployment, and prints which failed,
when and why. It exits with 0 if none failed, else with 1.

  healthcheck rollout [flags] URL

It keeps each connection until an answer says "Connection: close", and sends no request twice. So a
connection that the server cuts without notice is a failed request. A status of 400 or more is a failed
request too; a redirect is not followed and is no failure. The rollout ends at Ctrl-C or after the duration.
It waits for the answers to the requests already sent, and prints the sum.

URL: the path is asked as it is. Without a path it is /api/health/live/, which a service answers with 200
until it has shut down.

Flags:
  --connections N      the number of connections; 100 by default, at most 1000
  --rate N             the requests a second over all connections; 200 by default, at most 10000.
                       Each connection should send several requests within the service's drain delay, and
                       one before its idle timeout: 200 over 100 connections is one in 500ms for each
  --duration DURATION  1h by default, and at most
  --timeout DURATION   the limit for a whole answer; 3s by default
  --help
` + requestUsage

// requestUsage describes the flags that apply to requests in every form of the command.
const requestUsage = `
Request:
  --header 'KEY: VALUE'
                       send this header; may be repeated
  --token-env NAME     send the token in this environment variable as "Authorization: Bearer TOKEN"
  --token-file FILE    send the token in this file; other users can see the value of --header in ps

TLS, for https URLs:
  --cacert FILE        trust the authorities in this file (PEM) instead of the system's
  --cert FILE, --key FILE
                       send this client certificate, with its private key (PEM)
  --server-name NAME   expect this name in the certificate, instead of the URL's host
  --insecure           accept every certificate

No proxy is used and no redirect is followed.
`
