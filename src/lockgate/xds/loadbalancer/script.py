"""The Lua that runs for a forwarded request: what Envoy's own settings cannot say.

Kept to the least that a listener's attributes ask for: it runs for every request.
"""

from __future__ import annotations

from typing import Final

from lockgate.loadbalancer.model import Listener, LoadBalancer, Redirect

# The trace header: a fresh root, or the client's root behind a fresh Self. The part that only the second decides is
# made once a second. Source: "Request tracing for your Application Load Balancer".
_TRACE: Final = """
local format, random, time = string.format, math.random, os.time
math.randomseed(time() + (tonumber(tostring({}):sub(8), 16) or 0) % 2147483647)
local second, version = 0, ""
local function identifier()
  local now = time()
  if now ~= second then
    second, version = now, format("1-%08x-%06x", now, random(0, 16777215))
  end
  return version .. format("%09x%09x", random(0, 68719476735), random(0, 68719476735))
end
local function extended(old)
  local kept = {}
  for field in old:gmatch("[^;]+") do
    if not field:find("^%s*Self=") then kept[#kept + 1] = field end
  end
  local rest = table.concat(kept, ";")
  if not rest:find("Root=", 1, true) then return "Root=" .. identifier() .. (rest ~= "" and ";" .. rest or "") end
  return "Self=" .. identifier() .. ";" .. rest
end
local function trace(headers)
  local old = headers:get("x-amzn-trace-id")
  if old then
    headers:replace("x-amzn-trace-id", extended(old))
  else
    headers:add("x-amzn-trace-id", "Root=" .. identifier())
  end
end
"""

# X-Forwarded-For is added by the route where it is absent; the script joins the peer to one that is there.
_APPEND: Final = """
local function forwarded(handle, headers)
  local old = headers:get("x-forwarded-for")
  if old then
    local peer = handle:streamInfo():downstreamDirectRemoteAddress()
    headers:replace("x-forwarded-for", old .. ", " .. %s)
  end
end
"""
_ADDRESS: Final = '(peer:match("^%[(.*)%]:%d+$") or peer:match("^(.*):%d+$"))'
_ADDRESS_AND_PORT: Final = "peer"

_HOST_PORT: Final = """
local function host(headers)
  local name = headers:get(":authority")
  if not name:find(":%%d+$") then headers:replace(":authority", name .. ":%d") end
end
"""


def forwarding(balancer: LoadBalancer, listener: Listener) -> str:
    parts, calls = [_TRACE], ["trace(headers)"]
    if forwarded_for(balancer) == "append":
        client_port = balancer.attributes.get("routing.http.xff_client_port.enabled") == "true"
        parts.append(_APPEND % (_ADDRESS_AND_PORT if client_port else _ADDRESS))
        calls.append("forwarded(handle, headers)")
    keeps_host = balancer.attributes.get("routing.http.preserve_host_header.enabled") == "true"
    if listener.port not in (80, 443) and not keeps_host:
        parts.append(_HOST_PORT % listener.port)
        calls.append("host(headers)")
    body = "".join(f"  {call}\n" for call in calls)
    return "".join(parts) + f"function envoy_on_request(handle)\n  local headers = handle:headers()\n{body}end\n"


# A redirect with placeholders where Envoy's own redirect has no place for them.
_REDIRECT: Final = """
local templates = { host = %(host)s, port = %(port)s, path = %(path)s, query = %(query)s }
function envoy_on_request(handle)
  local headers = handle:headers()
  local path, query = headers:get(":path"):match("^([^?]*)%%??(.*)$")
  local request = {
    protocol = %(request_protocol)s, port = %(request_port)s, query = query,
    host = (headers:get(":authority") or ""):gsub(":%%d+$", ""), path = path:gsub("^/", ""),
  }
  local function filled(template) return (template:gsub("#{(%%a+)}", request)) end
  local location = %(protocol)s .. "://" .. filled(templates.host) .. ":" .. filled(templates.port)
  location = location .. filled(templates.path)
  local asked = filled(templates.query)
  if asked ~= "" then location = location .. "?" .. asked end
  handle:respond({ [":status"] = "%(status)s", ["location"] = location }, "")
end
"""


def redirecting(listener: Listener, redirect: Redirect) -> str:
    protocol = listener.protocol.lower()
    values = {
        "protocol": redirect.protocol.replace("#{protocol}", protocol).lower(),
        "host": redirect.host,
        "port": redirect.port,
        "path": redirect.path,
        "query": redirect.query,
        "request_protocol": protocol,
        "request_port": str(listener.port),
    }
    quoted = {name: quoted_string(value) for name, value in values.items()}
    return _REDIRECT % {**quoted, "status": redirect.status_code.removeprefix("HTTP_")}


def quoted_string(text: str) -> str:
    """`text` as a Lua string, whatever is in it."""
    return '"' + "".join(chr(byte) if chr(byte).isalnum() else f"\\{byte:03d}" for byte in text.encode()) + '"'


def forwarded_for(balancer: LoadBalancer) -> str:
    """How X-Forwarded-For is treated: ``append``, ``preserve`` or ``remove``."""
    return balancer.attributes.get("routing.http.xff_header_processing.mode", "append")
