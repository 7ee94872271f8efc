#!/bin/sh
# A component in twelve lines of shell: upper-cases a string. One JSON object a line in, its answers out; jq does both.
# cleanup is answered with bye, and the end of the input ends it.
exec jq --unbuffered -c '
  if .type == "hello" then {type: "ready", v: 1}
  elif .type == "item" then
    .n as $n | try ({type: "emit", n: $n, port: "out", data: (.data | ascii_upcase)}, {type: "done", n: $n})
    catch {type: "error", n: $n, code: "not_a_string", message: ., retryable: false}
  elif .type == "ping" then {type: "pong"}
  elif .type == "cleanup" then {type: "bye"}
  else empty end'
