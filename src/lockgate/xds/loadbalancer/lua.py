"""The Lua functions that scripts consist of. Each piece defines one function that a script calls.

All pieces share one global function: `answer` sends one of the load balancer's error pages.

Theory of operation of sticky sessions. ELBv2 stickiness has two levels, and a request may use both: a cookie picks the
target group among the weighted groups of a forward action (AWSALBTG), and a cookie picks the target within the group
(AWSALB, or AWSALBAPP-0 when the application sets its own cookie). The load balancer stores nothing; each cookie holds
the choice and the time at which it was made.

On the request (`STICKY`), the script opens the group's cookie. If the cookie is valid, not expired, and names a group
of the rule, the script reuses that group; otherwise it draws one by weight. It sets the cluster header and clears the
route cache, so that Envoy chooses the route again, now by that header. Nothing else may have changed the request before
this step. The script then opens the target's cookie. If it names this group, its address becomes Envoy's upstream
override host. The override is not strict: if that target is gone or unhealthy, Envoy picks another one.

On the response (`STICKY_RESPONSE`), the route reports the target that answered. The script seals group and target into
new cookies, so the expiry moves with each response. Dynamic metadata carries the group's index from the request to the
response, and records whether the stickiness is new, for the access log.
"""

from __future__ import annotations

from typing import Final


def quoted(text: str) -> str:
    """`text` as a Lua string literal."""
    plain = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 <>/-_.")
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03d}" for byte in text.encode()) + '"'


# Scripts create many short-lived objects and few long-lived ones. The default pace of the garbage collector would scan
# them all every few hundred requests. Ten times the live size is still only a few megabytes.
PAGES: Final = """
collectgarbage("setpause", 1000)
local pages = { %s }
local function answer(handle, status)
  local page = pages[status]
  local headers = { [":status"] = tostring(status), ["server"] = "awselb/2.0", ["x-lockgate-own"] = page.mark }
  if page.body ~= "" then headers["content-type"] = "text/html" end
  handle:respond(headers, page.body)
  return true
end
"""

# The trace header: a new root, or the client's fields behind a new Self. Every request pays for it, so nothing is
# formatted per request: each second has 14 random digits, and each request takes the next step of a walk through all
# ten-digit numbers, which are valid hexadecimal too. Source: "Request tracing for your Application Load Balancer".
TRACE: Final = """
local format, random, time = string.format, math.random, os.time
math.randomseed(time() + (tonumber(tostring({}):sub(8), 16) or 0) % 2147483647)
local second, version, place = 0, "", random(0, 8999999999)
local function identifier()
  local now = time()
  if now ~= second then
    second, version = now, format("1-%08x-%07x%07x", now, random(0, 268435455), random(0, 268435455))
  end
  place = (place + 6180339887) % 9000000000
  return version .. (place + 1000000000)
end
local function extended(old)
  local kept, rooted = {}, false
  for field in old:gmatch("[^;]+") do
    if not field:find("^%s*Self=") then
      kept[#kept + 1] = field
      rooted = rooted or field:find("Root=", 1, true)
    end
  end
  table.insert(kept, 1, (rooted and "Self=" or "Root=") .. identifier())
  return table.concat(kept, ";")
end
local function trace(headers)
  local old = headers:get("x-amzn-trace-id")
  if old and tonumber(headers:get("x-lockgate-size"):match("^%d+")) > 7168 then
    headers:replace("x-amzn-trace-id", "Root=" .. identifier())
  elseif old then
    headers:replace("x-amzn-trace-id", extended(old))
  else
    headers:add("x-amzn-trace-id", "Root=" .. identifier())
  end
end
"""

# The trace context for the target, while spans are made of the access log: that of the client, in W3C's or B3's form,
# else one with the identifier of X-Amzn-Trace-Id. Its parent is the load balancer's span. A trace that the client does
# not sample stays unsampled.
HAND_ON: Final = """
local function span_identifier()
  return string.format("%07x%07x%02x", random(0, 268435455), random(0, 268435455), random(1, 255))
end
local function context_of(headers)
  local version, trace, span, flags = (headers:get("traceparent") or ""):match("^(%x%x)%-(%x+)%-(%x+)%-(%x%x)")
  if trace and #trace == 32 and #span == 16 and version ~= "ff" then return trace, span, flags end
  local b3 = headers:get("b3") or ""
  trace, span = b3:match("^(%x+)%-(%x+)")
  local sampled = b3 == "0" and "0" or b3:match("^%x+%-%x+%-(%w)")
  if not trace then
    trace, span = headers:get("x-b3-traceid"), headers:get("x-b3-spanid")
    sampled = sampled or headers:get("x-b3-sampled")
  end
  flags = (sampled == "0" or sampled == "false") and "00" or "01"
  if trace and span and trace:match("^%x+$") and span:match("^%x+$") and #span == 16 then
    if #trace == 16 then return ("0"):rep(16) .. trace, span, flags end
    if #trace == 32 then return trace, span, flags end
  end
  local first, rest = headers:get("x-amzn-trace-id"):match("Root=1%-(%x+)%-(%x+)")
  return first and #first == 8 and #rest == 24 and first .. rest, nil, flags
end
local function hand_on(handle, headers)
  local trace, parent, flags = context_of(headers)
  if not trace then return end
  local own = span_identifier()
  headers:replace("traceparent", "00-" .. trace:lower() .. "-" .. own .. "-" .. flags)
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("lockgate.trace", "trace", trace:lower())
  metadata:set("lockgate.trace", "span", own)
  metadata:set("lockgate.trace", "flags", flags)
  if parent then metadata:set("lockgate.trace", "parent", parent:lower()) end
end
"""

# A target or header line that is too long, or too many addresses in X-Forwarded-For. Single lines are checked only if
# the total size makes one possible.
LIMITS: Final = """
local function too_long(handle, headers)
  if #headers:get(":path") > 16384 then return answer(handle, 414) end
  local size = headers:get("x-lockgate-size")
  if not size:find("^%%d%%d%%d%%d%%d") then return end
  local long = false
  for name, value in pairs(headers) do long = long or (#name + 2 + #value >= 16384 and name ~= ":path") end
  return long and answer(handle, 400)
end
local function too_many(handle, addresses)
  if select(2, addresses:gsub(",", "")) >= %(most)d then return answer(handle, 463) end
end
"""

# The route adds X-Forwarded-For if it is absent; if it is present, the script appends the peer.
KEEP: Final = """
local function forwarded(handle, headers)
  local old = headers:get("x-forwarded-for")
  return old and too_many(handle, old)
end
"""
APPEND: Final = """
local function forwarded(handle, headers)
  local old = headers:get("x-forwarded-for")
  if not old then return end
  if too_many(handle, old) then return true end
  local peer = handle:streamInfo():downstreamDirectRemoteAddress()
  headers:replace("x-forwarded-for", old .. ", " .. %s)
end
"""
ADDRESS: Final = '(peer:match("^%[(.*)%]:%d+$") or peer:match("^(.*):%d+$"))'
ADDRESS_AND_PORT: Final = "peer"

HOST_PORT: Final = """
local function host(headers)
  local name = headers:get(":authority")
  if name and not name:find(":%%d+$") then headers:replace(":authority", name .. ":%d") end
end
"""

# Drops headers whose names are not [-A-Za-z0-9]+.
DROP_INVALID: Final = """
local function drop_invalid(handle, headers)
  local invalid
  for name in pairs(headers) do
    if name:find("[^%w%-:]") then
      invalid = invalid or {}
      invalid[#invalid + 1] = name
    end
  end
  if not invalid then return end
  for _, name in ipairs(invalid) do headers:remove(name) end
  handle:streamInfo():dynamicMetadata():set("lockgate.headers", "dropped", "yes")
end
"""

# Desync mitigation: body framing that servers may interpret differently. Envoy refuses the severe classes earlier.
# Source: the classes and reasons of aws/http-desync-guardian.
FRAMING: Final = """
local function suspect(handle, headers)
  local length, coding = headers:get("content-length"), headers:get("x-lockgate-size"):find("%a")
  if not length and not coding then return end
  local protocol, method = handle:streamInfo():protocol(), headers:get(":method")
  if protocol == "HTTP/2" then return end
  local without_body = method == "GET" or method == "HEAD"
  if coding and (without_body or protocol == "HTTP/1.0") then
    return treat(handle, headers, "Ambiguous", "UndefinedTransferEncodingSemantics")
  elseif without_body and length == "0" then
    return treat(handle, headers, "Acceptable", "GetHeadZeroContentLength")
  elseif without_body and length then
    return treat(handle, headers, "Ambiguous", "UndefinedContentLengthSemantics")
  end
end
"""

# How each mode treats a classified request. Checking for more classes than the above would cost too much per request:
# only the strictest mode, which refuses them, does.
CLASSIFIED: Final = """
local function classified(handle, class, reason)
  local metadata = handle:streamInfo():dynamicMetadata()
  metadata:set("lockgate.desync", "class", class)
  metadata:set("lockgate.desync", "reason", reason)
end
"""
MONITOR: Final = """
local function treat(handle, headers, class, reason) classified(handle, class, reason) end
"""
DEFENSIVE: Final = """
local function treat(handle, headers, class, reason)
  classified(handle, class, reason)
  if class == "Ambiguous" then
    handle:streamInfo():drainConnectionUponCompletion()
    headers:replace("connection", "close")
  end
end
"""
STRICTEST: Final = """
local function treat(handle, headers, class, reason)
  classified(handle, class, reason)
  handle:streamInfo():drainConnectionUponCompletion()
  return answer(handle, 400)
end
"""
NAMES_AND_VALUES: Final = """
local function strange(handle, headers)
  local class, reason
  for name, value in pairs(headers) do
    local letters = name:gsub("[^%a]", "")
    if letters == "contentlength" and name ~= "content-length"
      or letters == "transferencoding" and name ~= "transfer-encoding" then
      class, reason = "Ambiguous", "SuspiciousHeader"
    elseif not class and value:find("[\\1-\\8\\10-\\31\\127-\\255]") then
      class, reason = "Acceptable", "NonCompliantHeader"
    end
  end
  return class and treat(handle, headers, class, reason)
end
"""

# Client and target group must speak the same protocol ("HTTP 464"): gRPC requests and HTTP/1.1 targets do not,
NO_GRPC: Final = """
local function no_grpc(handle, headers)
  local kind = headers:get("content-type")
  if kind and kind:sub(1, 16) == "application/grpc" and handle:streamInfo():protocol() == "HTTP/2" then
    return answer(handle, 464)
  end
end
"""

# nor do HTTP/1.1 requests and HTTP/2 or gRPC targets.
VERSIONS: Final = """
local function incompatible(handle, headers, context)
  local version = context:get("version")
  if version == "HTTP1" then return no_grpc(handle, headers) end
  if handle:streamInfo():protocol() ~= "HTTP/2" then return answer(handle, 464) end
  if version == "GRPC" and headers:get(":method") ~= "POST" then return answer(handle, 464) end
end
"""

CLIENT_CHAIN: Final = """
local function client_chain(handle, headers)
  local connection = handle:streamInfo():downstreamSslConnection()
  headers:remove(%(name)s)
  if connection and connection:peerCertificatePresented() then
    headers:add(%(name)s, connection:urlEncodedPemEncodedPeerCertificateChain())
  end
end
"""

# The header-to-metadata filter has applied the rule's expressions to Host and path. The metadata keeps the original
# values for the access log, and the failure if the result is not valid.
REWRITE: Final = """
local function rewrite(handle, headers)
  local metadata = handle:streamInfo():dynamicMetadata()
  local made = metadata:get("lockgate.rewrite")
  if not made then return end
  local function failed(why)
    metadata:set("lockgate.rewrite", "failure", why)
    return answer(handle, 500)
  end
  if made.host then
    local invalid = made.host == "" or made.host:find("[^!-~]") or made.host:find("[/?#]")
    if invalid then return failed("TransformInvalidHost") end
    metadata:set("lockgate.rewrite", "host_before", headers:get(":authority"))
    headers:replace(":authority", made.host)
  end
  if made.url then
    if made.url:sub(1, 1) ~= "/" or made.url:find("[^!-~]") then return failed("TransformInvalidPath") end
    metadata:set("lockgate.rewrite", "url_before", headers:get(":path"))
    headers:replace(":path", made.url)
  end
end
"""

# Stickiness: AWSALBTG selects a target group, AWSALB or the application's cookie a target. A value holds the choice and
# its time, obfuscated with a key of the load balancer: opaque to clients, but not secret.
STICKY: Final = """
local bit = require("bit")
local WEEK = 604800
local function mixed(text, key)
  local made = {}
  for at = 1, #text do
    made[at] = string.char(bit.bxor(text:byte(at), key:byte((at * 7) % #key + 1), (at * 31) % 256))
  end
  return table.concat(made)
end
local function sealed(choice, key)
  return (mixed(time() .. ";" .. choice, key):gsub(".", function(char) return format("%02x", char:byte()) end))
end
local function opened(value, key, seconds)
  if not value or #value % 2 == 1 or value:find("[^%x]") then return end
  local text = mixed(value:gsub("%x%x", function(hex) return string.char(tonumber(hex, 16)) end), key)
  local made, choice = text:match("^(%d+);(.*)$")
  if made and tonumber(made) + seconds >= time() then return choice end
end
local function cookies_of(headers)
  local found = {}
  for name, value in (headers:get("cookie") or ""):gmatch("([^=;,%s]+)=([^;,]*)") do
    if not found[name] then found[name] = value end
  end
  return found
end
local function chosen_group(context, cookies)
  local groups = context:get("groups")
  if context:get("seconds") > 0 then
    for _, name in ipairs({ "AWSALBTG", "AWSALBTGCORS" }) do
      local cluster = opened(cookies[name], context:get("key"), context:get("seconds"))
      for at, group in ipairs(groups) do
        if cluster and group.cluster == cluster then return at, group end
      end
    end
  end
  local sum = 0
  for _, group in ipairs(groups) do sum = sum + group.weight end
  local drawn = random() * sum
  for at, group in ipairs(groups) do
    drawn = drawn - group.weight
    if drawn < 0 and group.weight > 0 then return at, group end
  end
  return 1, groups[1]
end
local function stick(handle, headers, context)
  local cookies = cookies_of(headers)
  local at, group = chosen_group(context, cookies)
  headers:replace("x-lockgate-cluster", group.cluster)
  handle:clearRouteCache()
  handle:filterContext()  -- chooses the route, now by the header
  handle:streamInfo():dynamicMetadata():set("lockgate.sticky", "group", tostring(at))
  local names = group.sticky == "lb" and { "AWSALB", "AWSALBCORS" }
    or group.sticky == "app" and cookies[group.cookie] and { "AWSALBAPP-0" } or {}
  for _, name in ipairs(names) do
    local choice = opened(cookies[name], context:get("key"), group.duration)
    local cluster, address = (choice or ""):match("^(.*)|(.*)$")
    if cluster == group.cluster then
      handle:setUpstreamOverrideHost(address, false)
      handle:streamInfo():dynamicMetadata():set("lockgate.sticky", "wanted", address)
      return
    end
  end
  if group.sticky then handle:streamInfo():dynamicMetadata():set("lockgate.sticky", "new", "yes") end
end
"""

# The route passes the target's address in an internal header, which is removed here.
STICKY_RESPONSE: Final = """
local function expires() return os.date("!%a, %d %b %Y %H:%M:%S GMT", time() + WEEK) end
local function pair(headers, name, value)
  local when = expires()
  headers:add("set-cookie", name .. "=" .. value .. "; Expires=" .. when .. "; Path=/")
  headers:add("set-cookie", name .. "CORS=" .. value .. "; Expires=" .. when .. "; Path=/; SameSite=None; Secure")
end
local function sets(headers, cookie)
  for at = 0, headers:getNumValues("set-cookie") - 1 do
    if headers:getAtIndex("set-cookie", at):match("^%s*([^=]*)=") == cookie then return true end
  end
end
function envoy_on_response(handle)
  local headers = handle:headers()
  local address = headers:get("x-lockgate-target")
  if not address then return end
  headers:remove("x-lockgate-target")
  local context = handle:filterContext()
  local metadata = handle:streamInfo():dynamicMetadata()
  local known = metadata:get("lockgate.sticky")
  if known and known.wanted and known.wanted ~= address then metadata:set("lockgate.sticky", "new", "yes") end
  local group = known and context:get("groups")[tonumber(known.group)]
  if not group then return end
  local value = sealed(group.cluster .. "|" .. address, context:get("key"))
  if group.sticky == "lb" then
    pair(headers, "AWSALB", value)
  elseif group.sticky == "app" and sets(headers, group.cookie) then
    headers:add("set-cookie", "AWSALBAPP-0=" .. value .. "; Expires=" .. expires() .. "; Path=/")
  end
  if context:get("seconds") > 0 then pair(headers, "AWSALBTG", sealed(group.cluster, context:get("key"))) end
end
"""

# A redirect with placeholders that Envoy's redirect action does not support.
REDIRECT: Final = """
local function redirect(handle, headers, context)
  local path, query = headers:get(":path"):match("^([^?]*)%??(.*)$")
  local host = (headers:get(":authority") or ""):gsub(":%d+$", "")
  local request = {
    protocol = context:get("request_protocol"), port = context:get("request_port"), query = query, host = host,
    path = (path:gsub("^/", "")),
  }
  local function filled(template) return (template:gsub("#{(%a+)}", request)) end
  local location = context:get("protocol") .. "://" .. filled(context:get("host")) .. ":" .. filled(context:get("port"))
  location = location .. filled(context:get("path"))
  local asked = filled(context:get("query"))
  local bare = context:get("query") == "#{query}" and headers:get(":path"):find("?", 1, true)
  if asked ~= "" or bare then location = location .. "?" .. asked end
  if #location > 8192 then return handle:respond({ [":status"] = "507", ["x-lockgate-own"] = "own 507 |" }, "") end
  handle:respond({ [":status"] = context:get("status"), ["location"] = location }, "")
end
"""
