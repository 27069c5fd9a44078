import { describe, expect, it } from "vitest";
import { type Finding, findings } from "./findings";
import { covers, pemBlocks, readCertificate, readPrivateKey } from "./x509";

// Made with openssl for these tests: a leaf for shop.example.com, its intermediate
// and root, on P-256; and one of RSA that expired in 2021.
const leaf = `-----BEGIN CERTIFICATE-----
MIIB4zCCAYigAwIBAgIUT5BpZ4nltXEj6vf6IDwXE+x80fYwCgYIKoZIzj0EAwIw
KzENMAsGA1UECgwEVGVzdDEaMBgGA1UEAwwRVGVzdCBJbnRlcm1lZGlhdGUwIBcN
MjYxMTI4MTM0MzI1WhgPMjEyNjExMDQxMzQzMjVaMBsxGTAXBgNVBAMMEHNob3Au
ZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASY3/KLnXMJ3CGw
+RyJg5KB2/wD9eZM+xTMsHOene83zIFPIeqHvueALB+hPP4kAsnowZL5vtflAcuU
DyNFigEuo4GXMIGUMEcGA1UdEQRAMD6CEHNob3AuZXhhbXBsZS5jb22CEiouc2hv
cC5leGFtcGxlLmNvbYcEwAACAYcQIAENuAAAAAAAAAAAAAAAATAJBgNVHRMEAjAA
MB0GA1UdDgQWBBS5PKP0ik+d+0cM2lVlTipskjtA6zAfBgNVHSMEGDAWgBR6EIEV
nRNPjsIL9cfnxscch0LAGjAKBggqhkjOPQQDAgNJADBGAiEA5HSOcTjc7fCVpPB9
v9/QCBKcBvluMzRC2o4WmZyrbxwCIQChCYCmWOX0ahS5R6zl335pZslr+YbsBM6I
ba0jixs9aA==
-----END CERTIFICATE-----`;
const intermediate = `-----BEGIN CERTIFICATE-----
MIIBlzCCATygAwIBAgIUJ0uRvC5d2ITpj0GwxJG65YeuUScwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJVGVzdCBSb290MCAXDTI2MTEyODEzNDMyMloYDzIxMjYxMTA0
MTM0MzIyWjArMQ0wCwYDVQQKDARUZXN0MRowGAYDVQQDDBFUZXN0IEludGVybWVk
aWF0ZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLU8OczfpSeNS0RYN80VK8cg
6ndCumfPfuV6gkOyUXSD5j/q3CvLoGuxY0uG5Btmd9TJFfDqy2RpIpbZHE1m5pCj
UzBRMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFHoQgRWdE0+Owgv1x+fGxxyH
QsAaMB8GA1UdIwQYMBaAFEW1nVL7mTHlFYfs9+eHmgPtnZleMAoGCCqGSM49BAMC
A0kAMEYCIQDqFmrymeaInY/Pry0GP8/BgjwmJsjkEhTRE2v9LT5cSQIhAOrL4W4n
RwtyuuXxRj5IKCKq0ru94HeeQkkYYN3Z254P
-----END CERTIFICATE-----`;
const root = `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUBakx7hg4RXeYJz2m+lZtzXQVex0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJVGVzdCBSb290MCAXDTI2MTEyODEzNDMxNVoYDzIxMjYxMTA0
MTM0MzE1WjAUMRIwEAYDVQQDDAlUZXN0IFJvb3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAShFxYW0lfF2+r6Rs90LoX7+WrHHsqTy6U50PnlPYAtQQxHUDnbU4Kz
IB5va1uOABo4yVPqfoIkAYFIAOBQDE1no1MwUTAdBgNVHQ4EFgQURbWdUvuZMeUV
h+z354eaA+2dmV4wHwYDVR0jBBgwFoAURbWdUvuZMeUVh+z354eaA+2dmV4wDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBTKc5+0UuAMnhj4aWL01T9
yKtTt/XwTzv6Ir7tMRKZCQIhANQd/Z28rVIDPqhwF7rVj+dqOO0VVdbbw396dd3P
hmI9
-----END CERTIFICATE-----`;
const leafKey = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIP2bmNRFBdTAwR2Wg7WLFKmcbltA9mPughNEoT5+X3o0oAoGCCqGSM49
AwEHoUQDQgAEmN/yi51zCdwhsPkciYOSgdv8A/XmTPsUzLBznp3vN8yBTyHqh77n
gCwfoTz+JALJ6MGS+b7X5QHLlA8jRYoBLg==
-----END EC PRIVATE KEY-----`;
const leafPKCS8 = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/ZuY1EUF1MDBHZaD
tYsUqZxuW0D2Y+6CE0ShPn5fejShRANCAASY3/KLnXMJ3CGw+RyJg5KB2/wD9eZM
+xTMsHOene83zIFPIeqHvueALB+hPP4kAsnowZL5vtflAcuUDyNFigEu
-----END PRIVATE KEY-----`;
const old = `-----BEGIN CERTIFICATE-----
MIIC7DCCAdSgAwIBAgIBATANBgkqhkiG9w0BAQsFADAaMRgwFgYDVQQDDA9vbGQu
ZXhhbXBsZS5jb20wHhcNMjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjAaMRgw
FgYDVQQDDA9vbGQuZXhhbXBsZS5jb20wggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAw
ggEKAoIBAQC+MaXebMCu30kugOff6gxXjkdR8dilHtVHTiZlf2McQYXpIjzyluz5
mxqJq+GIjHq3+1PgkEdoqygY7v0Y7VBO7QHL7rjNJFN8AO0KRK27JXk9N7v3x65O
cc7r2KNIGHnCByCy1ZL1zdPV3aGFziLV+cbhgGxBgB/3S5cz74sdWVd/bjhu2LfM
a42lIuOu3nI6AnUUZd3ub3SH0WYcNB+kdKgzNPfdJD8aD7JECNL4VO5cncqxnw0j
h7ZdYZ2hoH2xflp1fXlxtaovZpajHkjLA1UvfqCsbfOQ25iwVkrgpXE7Ic4cAZ93
7zEH8WBde9LdBnOHdvCWwFFXK0H2SO6JAgMBAAGjPTA7MBoGA1UdEQQTMBGCD29s
ZC5leGFtcGxlLmNvbTAdBgNVHQ4EFgQUzJGJBNX/Gk4hyXCdz7ojEQKGSrwwDQYJ
KoZIhvcNAQELBQADggEBAIXYxJRo8UlMfZ0sDmOAxHArEM2hhRspqaWLt9GRNXAV
EjzDcbXLoFxJmaOtC9HxZKoMRDcBgqejllI/gXfandpplNIL766XlcbjaUEJIz3F
xVOXdwgMiPJGik15j157hZZCpksunUdQbBdDD7FzdI2/vGUMQRMDJosPzjEntaVb
ZTD9eU52m0ZkF8TVhumPL2X/nBMlLmopJE6fiehiWdUvDhMuAHXtj1zywq/Rthls
QtXTy8o92WwP02BMWIHGcTjjx9Uu0s4bKl7NwnXTp2BYCWn+xJ8EiK7NL24oj43T
sVXwrz6/eKkMe5P02mneUfYng1VHyJ1dNg4V8VtS5Gw=
-----END CERTIFICATE-----`;
const oldKey = `-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQC+MaXebMCu30ku
gOff6gxXjkdR8dilHtVHTiZlf2McQYXpIjzyluz5mxqJq+GIjHq3+1PgkEdoqygY
7v0Y7VBO7QHL7rjNJFN8AO0KRK27JXk9N7v3x65Occ7r2KNIGHnCByCy1ZL1zdPV
3aGFziLV+cbhgGxBgB/3S5cz74sdWVd/bjhu2LfMa42lIuOu3nI6AnUUZd3ub3SH
0WYcNB+kdKgzNPfdJD8aD7JECNL4VO5cncqxnw0jh7ZdYZ2hoH2xflp1fXlxtaov
ZpajHkjLA1UvfqCsbfOQ25iwVkrgpXE7Ic4cAZ937zEH8WBde9LdBnOHdvCWwFFX
K0H2SO6JAgMBAAECgf9eNDknJYN95xq+urQfAQGCXJAqBmzhwspHVAewpJs/Y5tW
qtHrvNWjmS+Lzf0a2HnwQIwX4cUWeUnJdi/mjz5rDJMKb5nmAhgkhrdIXrwUwuFK
Pep2Az5Sz6Wt+GyBSTfSfIIcEhOFRgdATVNNWZmBL2m5FK+9W1J5911Tj1KLnHIv
037bw2Xz+Oy91Un7y/F1mSIFrEleYs57IET2IG6MV+/VkVL3erjzvD6ymF52kbHV
szuSRG6aq8GFnhbXA14O3r16WRgeSuVHmv9Vc6ElQbZnDYiDNpXyxYZbWW9J4k/w
vXmOs5Ktdx2jpKhwgnSqRT5aXQ33kU+OjYj4LSECgYEA+muxBO/PnKZrhpPpmIus
PWi99GLLC2QsdHc4SbyH48Jn9MF8dcUp54zaTPG1o8qvgWDnd+qqF3c3kfb7OOos
pcTx6ZTspYptuf29vXvh9Kjm5QGBcg+2zJQp6FA3DzhczZaUa6a89n0ZAkKhMLCl
AkaW0lLr/+kzP+UDaHBPrA0CgYEAwm5x7kcxxh5jM6hTEvo9qP6cI8g0cfOA1FIl
unsjXT74VwWy8HWmLK/RQ1ZIJcX/jhX4ARF0jItmBvAk9Sfm6FXcZN5eaSuMJlty
/TZ6/VMy7tlDkgNikAyHJM9qwgqRUaABPYRBkgGfr14G56Jn/D9eDCk49NsiT8gI
kp0rIW0CgYAlQ1EcAvNJxBnL9MaVxHLk0GkzrF+6WjWjPvpJPpyZ75u4d/IlNCmA
Ix14xZ7ZuJdVES5gUbLtuvex6KaJWY87O4sjzt1H5MlfG7rYL074MQnqmcbBSkVR
O9rgjs8inKhyjy2Wt0D3DLZj97Y0oJRtOkPHGD+13OWbZGCVceDpIQKBgQCqrHrU
WKinqhsYyISMHyCrTT1Q57ip4r/PIYE+7kL/4nvrH/SQwiWqCngerQnOJr2LQ1ud
zG3Lxb49DubSUUGP53b9EHo9xd1T+mi5P+68myEVq6B19wS5QFYNiQnE5bPkvBj6
oDNS8Jv1PAvBn726HwH2mOUHg6jd8dEcqlynDQKBgQCk6hsJ5L/134Erhidym6N/
wtbRK054x3KWamI/Q/TMQcrZ3aVloFjSzgPwlZGy93+/rqGpBAuEqzX3IYpTE1BB
UAqsVkSnOW6oaq9hSbEOK4bqqinkjQSP9pBZaGux0ex5LdQuh8Tj1y28A2PY2R5t
o0wFonyqQx5tRDE8+2Qcfg==
-----END PRIVATE KEY-----`;
const oldPKCS1 = `-----BEGIN RSA PRIVATE KEY-----
MIIEogIBAAKCAQEAvjGl3mzArt9JLoDn3+oMV45HUfHYpR7VR04mZX9jHEGF6SI8
8pbs+ZsaiavhiIx6t/tT4JBHaKsoGO79GO1QTu0By+64zSRTfADtCkStuyV5PTe7
98euTnHO69ijSBh5wgcgstWS9c3T1d2hhc4i1fnG4YBsQYAf90uXM++LHVlXf244
bti3zGuNpSLjrt5yOgJ1FGXd7m90h9FmHDQfpHSoMzT33SQ/Gg+yRAjS+FTuXJ3K
sZ8NI4e2XWGdoaB9sX5adX15cbWqL2aWox5IywNVL36grG3zkNuYsFZK4KVxOyHO
HAGfd+8xB/FgXXvS3QZzh3bwlsBRVytB9kjuiQIDAQABAoH/XjQ5JyWDfecavrq0
HwEBglyQKgZs4cLKR1QHsKSbP2ObVqrR67zVo5kvi839Gth58ECMF+HFFnlJyXYv
5o8+awyTCm+Z5gIYJIa3SF68FMLhSj3qdgM+Us+lrfhsgUk30nyCHBIThUYHQE1T
TVmZgS9puRSvvVtSefddU49Si5xyL9N+28Nl8/jsvdVJ+8vxdZkiBaxJXmLOeyBE
9iBujFfv1ZFS93q487w+sphedpGx1bM7kkRumqvBhZ4W1wNeDt69elkYHkrlR5r/
VXOhJUG2Zw2IgzaV8sWGW1lvSeJP8L15jrOSrXcdo6SocIJ0qkU+Wl0N95FPjo2I
+C0hAoGBAPprsQTvz5yma4aT6ZiLrD1ovfRiywtkLHR3OEm8h+PCZ/TBfHXFKeeM
2kzxtaPKr4Fg53fqqhd3N5H2+zjqLKXE8emU7KWKbbn9vb174fSo5uUBgXIPtsyU
KehQNw84XM2WlGumvPZ9GQJCoTCwpQJGltJS6//pMz/lA2hwT6wNAoGBAMJuce5H
McYeYzOoUxL6Paj+nCPINHHzgNRSJbp7I10++FcFsvB1piyv0UNWSCXF/44V+AER
dIyLZgbwJPUn5uhV3GTeXmkrjCZbcv02ev1TMu7ZQ5IDYpAMhyTPasIKkVGgAT2E
QZIBn69eBueiZ/w/XgwpOPTbIk/ICJKdKyFtAoGAJUNRHALzScQZy/TGlcRy5NBp
M6xfulo1oz76ST6cme+buHfyJTQpgCMdeMWe2biXVREuYFGy7br3seimiVmPOzuL
I87dR+TJXxu62C9O+DEJ6pnGwUpFUTva4I7PIpyoco8tlrdA9wy2Y/e2NKCUbTpD
xxg/tdzlm2RglXHg6SECgYEAqqx61Fiop6obGMiEjB8gq009UOe4qeK/zyGBPu5C
/+J76x/0kMIlqgp4Hq0Jzia9i0Nbncxty8W+PQ7m0lFBj+d2/RB6PcXdU/pouT/u
vJshFaugdfcEuUBWDYkJxOWz5LwY+qAzUvCb9TwLwZ+9uh8B9pjlB4Oo3fHRHKpc
pw0CgYEApOobCeS/9d+BK4Yncpujf8LW0StOeMdylmpiP0P0zEHK2d2lZaBY0s4D
8JWRsvd/v66hqQQLhKs19yGKUxNQQVAKrFZEpzluqGqvYUmxDiuG6qop5I0Ej/aQ
WWhrsdHseS3ULofE49ctvANj2NkebaNMBaJ8qkMebUQxPPtkHH4=
-----END RSA PRIVATE KEY-----`;

const now = new Date("2027-01-01T00:00:00Z");
const certificate = (pem: string) => {
  const [block] = pemBlocks(pem);
  return block?.der ? readCertificate(block.der) : null;
};
const about = (chain: string, key: string, domain = "shop.example.com") =>
  Object.fromEntries(findings(domain, chain, key, now).map((f) => [f.about, f.tone])) as {
    [about in Finding["about"]]?: string;
  };

describe("reading", () => {
  it("tells names, issuer and dates of a certificate", () => {
    const read = certificate(leaf);
    expect(read?.names).toEqual(["shop.example.com", "*.shop.example.com", "192.0.2.1", "2001:db8::1"]);
    expect(read?.issuer).toBe("Test Intermediate");
    expect(read?.authority).toBe(false);
    expect(read?.until.getUTCFullYear()).toBe(2126); // beyond what UTCTime can say
    expect(certificate(intermediate)?.authority).toBe(true);
    expect(certificate(old)?.until.toISOString()).toBe("2021-01-01T00:00:00.000Z");
  });

  it("knows a key by its certificate, whichever way it is written", () => {
    for (const [cert, keys] of [
      [leaf, [leafKey, leafPKCS8]],
      [old, [oldKey, oldPKCS1]],
    ] as const) {
      for (const key of keys) {
        const [block] = pemBlocks(key);
        expect(block && readPrivateKey(block)).toBe(certificate(cert)?.key);
      }
    }
  });

  it("takes nothing for more than it is", () => {
    expect(readCertificate(new Uint8Array([0x30, 0x82, 0xff, 0xff, 1]))).toBeNull();
    expect(readCertificate(new Uint8Array())).toBeNull();
    expect(pemBlocks("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----")).toEqual([
      { label: "CERTIFICATE", der: null },
    ]);
    for (let cut = 1; cut < 200; cut += 7) {
      const [block] = pemBlocks(leaf);
      expect(readCertificate((block?.der ?? new Uint8Array()).subarray(0, cut))).toBeNull();
    }
  });

  it("lets a wildcard stand for one label", () => {
    expect(covers(["*.example.com"], "a.example.com")).toBe(true);
    expect(covers(["*.example.com"], "a.b.example.com")).toBe(false);
    expect(covers(["*.example.com"], "example.com")).toBe(false);
    expect(covers(["*.example.com"], "*.example.com")).toBe(true);
  });
});

describe("findings", () => {
  it("has nothing to say before there is a certificate", () => {
    expect(findings("shop.example.com", "", "", now)).toEqual([]);
  });

  it("is content with a whole chain in any order and its key", () => {
    const chain = [root, intermediate, leaf].join("\n");
    expect(about(chain, leafKey)).toEqual({ names: "ok", dates: "ok", key: "ok", chain: "ok" });
    expect(about(`${leaf}\n${leafPKCS8}\n${intermediate}`, "").key).toBe("ok"); // one file with both
  });

  it("says what is wrong with names, dates, key and chain", () => {
    expect(about(leaf, "").key).toBe("idle");
    expect(about(leaf, oldKey)).toMatchObject({ key: "bad", chain: "warn" });
    expect(about(leaf, leafKey, "other.example.org").names).toBe("bad");
    expect(about(old, oldKey, "old.example.com")).toEqual({ names: "ok", dates: "bad", key: "ok", chain: "warn" });
    expect(about(`${leaf}\n${root}`, leafKey).chain).toBe("bad");
    expect(about(leaf.replace(/\n.{10}/, "\n!"), "")).toEqual({ content: "bad" });
  });
});
