package healthcheck

const usageText = `healthcheck asks a service for its health. It exits with 0 if the service is well, else with 1.

  healthcheck [flags] URL...           ask once, and say the answer
  healthcheck --watch [flags] URL...   ask again and again, and draw the answers
  healthcheck --all [flags] URL        ask every endpoint, and say what is wrong with the answers
  healthcheck rollout [flags] URL      ask while somebody deploys, and say which requests failed

URL:
  http://localhost:8000                its readiness: /api/health/ready/
  http://localhost:8000/internal/live  this path, as it is
  unix:///run/app.sock                 over a UNIX socket; a path comes after a colon, as in
                                       unix:///run/app.sock:/internal/live

What to ask for. With one of these, and with --all, a path in the URL is the prefix of the endpoints,
instead of /api/health:
  --live, --ready, --startup, --detailed
  --check NAME         one check alone

Flags:
  --fail-on LEVEL      exit with 1 from which level on: error (the default), or warning, for degraded too
  --timeout DURATION   for a whole answer; 3s by default
  --header 'KEY: VALUE'
                       send it along, such as 'Authorization: Bearer …'; may be repeated
  --json               print the body of the answer as it is
  --watch              draw the answers, a row for each URL and each address of its name, until Ctrl-C;
                       without a terminal print a line for each change
  --interval DURATION  of --watch; 2s by default
  --all                the manual test of a service
  --help

No proxy is used and no redirect followed. HTTPS needs a certificate that the system trusts, or SSL_CERT_FILE.
What 'healthcheck rollout' can do, 'healthcheck rollout --help' tells.
`

const rolloutUsageText = `healthcheck rollout asks a service over and over while somebody deploys, and says which requests failed,
when and why. It exits with 0 if none did, else with 1.

  healthcheck rollout [flags] URL

Each connection is kept, and left only when an answer says "Connection: close". No request is sent twice.
So what a client without luck would see counts: a connection that is cut without notice is a failed
request. A status of 400 or more is one too; a redirect is not followed, and is none. It ends at Ctrl-C,
or after the duration, lets the requests under way finish, and prints the sum.

URL: the path is asked as it is. Without one it is /api/health/live/, which a service that shuts down
answers with 200 to its end.

Flags:
  --connections N      kept at the same time; 100 by default, at most 1000
  --rate N             requests a second, of all connections together; 200 by default, at most 10000.
                       Each connection should ask several times within the service's drain delay, and
                       before its idle timeout: 200 of 100 connections is once in 500ms
  --duration DURATION  1h by default, and at most
  --timeout DURATION   for a whole answer; 3s by default
  --header 'KEY: VALUE'
                       send it along; may be repeated
  --help
`
