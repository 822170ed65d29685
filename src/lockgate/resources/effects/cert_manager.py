"""cert-manager's kinds: what its controllers here follow."""

from __future__ import annotations

from lockgate.resources.effects.row import Row, accepted, declare, refused, served

_KEY_OF = "{name,key}"
_OTHER_PROVIDERS = "{akamai,cloudDNS,cloudflare,azureDNS,digitalocean,acmeDNS,rfc2136,webhook}"
_HTTP01 = "no Pod answers HTTP-01 challenges here, so the order fails"


def _solver(at: str) -> tuple[Row, ...]:
    """A solver's fields, in an issuer and in a challenge."""
    noticed = at.startswith("spec.acme")
    return (
        served(
            f"{at}.selector.{{matchLabels,dnsNames,dnsZones}}",
            f"{at}.waitInsteadOfSelfCheck",
            f"{at}.dns01.cnameStrategy",
            f"{at}.dns01.route53.{{accessKeyID,role,hostedZoneID,region}}",
            f"{at}.dns01.route53.auth.kubernetes.serviceAccountRef.{{name,audiences}}",
            f"{at}.dns01.route53.{{accessKeyIDSecretRef,secretAccessKeySecretRef}}.{_KEY_OF}",
        ),
        accepted(
            f"{at}.dns01.nameservers",
            because="the edge's own DNS server is asked",
            noticed=noticed,
        ),
        accepted(
            f"{at}.dns01.{_OTHER_PROVIDERS}.**",
            because="of DNS providers Route 53 is served, so the order fails",
            noticed=noticed,
            fix="use dns01.route53, or a selfSigned issuer",
        ),
        accepted(
            f"{at}.http01.ingress",
            f"{at}.http01.gatewayHTTPRoute",
            because=_HTTP01,
            noticed=noticed,
            fix="use dns01.route53",
        ),
        accepted(
            f"{at}.http01.ingress.{{serviceType,ingressClassName,class,name,podTemplate.**,ingressTemplate.**}}",
            f"{at}.http01.gatewayHTTPRoute.{{serviceType,labels,parentRefs.**,podTemplate.**}}",
            because=_HTTP01,
        ),
    )


ROWS = (
    *declare(
        "cert-manager.io",
        "Issuer ClusterIssuer",
        served(
            "",
            "spec.acme.{email,server,preferredChain,caBundle,skipTLSVerify,profile}",
            "spec.acme.{disableAccountKeyGeneration,enableDurationFeature}",
            "spec.acme.externalAccountBinding.keyID",
            f"spec.acme.{{privateKeySecretRef,externalAccountBinding.keySecretRef}}.{_KEY_OF}",
            "spec.ca.{secretName,crlDistributionPoints,ocspServers,issuingCertificateURLs}",
            "spec.selfSigned.crlDistributionPoints",
        ),
        accepted(
            "spec.acme.externalAccountBinding.keyAlgorithm",
            because="cert-manager no longer reads it: the binding is signed with HS256",
        ),
        accepted(
            "spec.acme.renewalInformationSource",
            because="it counts with cert-manager's feature gate ACMEUseARI alone, which is off by default",
        ),
        *_solver("spec.acme.solvers"),
        refused(
            "spec.{vault,venafi}.**",
            because="issuers of this type are not served here: the issuer's Ready condition says so",
        ),
    ),
    *declare(
        "cert-manager.io",
        "Certificate",
        served(
            "",
            "spec.subject.{organizations,organizationalUnits,countries,localities,provinces}",
            "spec.subject.{streetAddresses,postalCodes,serialNumber}",
            "spec.{literalSubject,commonName,dnsNames,ipAddresses,uris,emailAddresses,otherNames.oid}",
            "spec.otherNames.utf8Value",
            "spec.{duration,renewBefore,renewBeforePercentage,renewal.policy}",
            "spec.secretName",
            "spec.secretTemplate.{annotations,labels}",
            "spec.additionalOutputFormats.type",
            "spec.issuerRef.{name,kind,group}",
            "spec.{isCA,usages,encodeUsagesInRequest,revisionHistoryLimit}",
            "spec.privateKey.{rotationPolicy,encoding,algorithm,size}",
            "spec.nameConstraints.critical",
            "spec.nameConstraints.{permitted,excluded}.{dnsDomains,ipRanges,emailAddresses,uriDomains}",
        ),
        accepted("spec.keystores", because="the Secret gets no keystores", noticed=True),
        accepted(
            "spec.keystores.jks.{create,alias,password,passwordSecretRef.name,passwordSecretRef.key}",
            "spec.keystores.pkcs12.{create,profile,password,passwordSecretRef.name,passwordSecretRef.key}",
            because="the Secret gets no keystores",
        ),
        accepted(
            "spec.renewal.windows",
            because="the certificate is renewed when its time comes",
            noticed=True,
        ),
        accepted(
            "spec.renewal.windows.{timezone,cron,windowDuration}",
            because="the certificate is renewed when its time comes",
        ),
        accepted(
            "spec.signatureAlgorithm",
            because="the key decides which digest is signed",
            noticed=True,
        ),
        accepted(
            "metadata.annotations[cert-manager.io/issue-temporary-certificate]",
            because="the Secret appears when the certificate is issued, and none before",
            noticed=True,
        ),
    ),
    *declare(
        "cert-manager.io",
        "CertificateRequest",
        served("", "spec.{duration,request,isCA,usages}", "spec.issuerRef.{name,kind,group}"),
        accepted(
            "spec.{username,uid,groups,extra.*}",
            because="every request is approved, whoever makes it",
        ),
    ),
    *declare(
        "acme.cert-manager.io",
        "Order",
        served(
            "",
            "spec.{request,commonName,dnsNames,ipAddresses,duration,profile,replaces}",
            "spec.issuerRef.{name,kind,group}",
        ),
    ),
    *declare(
        "acme.cert-manager.io",
        "Challenge",
        served(
            "",
            "spec.{url,authorizationURL,dnsName,wildcard,type,token,key}",
            "spec.issuerRef.{name,kind,group}",
        ),
        *_solver("spec.solver"),
    ),
)
