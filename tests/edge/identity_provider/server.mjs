// A certified OpenID Connect provider (npm oidc-provider) with its own login and consent forms, on loopback: over TLS,
// or plain and behind a proxy. Everybody may log in, by any name. Standard input has the settings; standard output is
// told the URL.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";

const [modules] = process.argv.slice(2);
const { Provider } = createRequire(`${modules}/`)("oidc-provider");
const settings = JSON.parse(readFileSync(0, "utf8"));

// What is known of a user follows from the name: "ada", or "ada+9000" of whom 9000 bytes are known, any bytes.
const claims = (id) => {
  const [name, length] = id.split("+");
  const about = randomBytes(Number(length ?? 0)).toString("base64url").slice(0, Number(length ?? 0));
  return { sub: id, name, email: `${name}@login.example`, about };
};

const server = settings.chain
  ? https.createServer({ cert: readFileSync(settings.chain), key: readFileSync(settings.key) })
  : http.createServer();
server.listen(0, "127.0.0.1", () => {
  const url = `${settings.chain ? "https" : "http"}://127.0.0.1:${server.address().port}`;
  const provider = new Provider(settings.issuer ?? url, {
    clients: settings.clients,
    ...(settings.routes ? { routes: settings.routes } : {}),
    claims: { openid: ["sub"], email: ["email"], profile: ["name", "about"] },
    conformIdTokenClaims: true,
    cookies: { keys: ["the tests'"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => claims(id) }),
    issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
    rotateRefreshToken: true,
    pkce: { required: () => false },
    extraParams: ["lang"],
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: "read", accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } }),
      },
    },
    ttl: {
      AccessToken: (_, __, client) => (client.clientId.startsWith("brief") ? 1 : 3600),
      Grant: 3600,
      IdToken: 3600,
      Interaction: 3600,
      RefreshToken: 3600,
      Session: 3600,
    },
  });
  provider.proxy = !settings.chain;
  server.on("request", provider.callback());
  console.log(url);
});
