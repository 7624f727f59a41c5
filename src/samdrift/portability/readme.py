"""Texts of the readme files in every export, and in every folder that one was unpacked into."""

README = """\
What a participant organisation of SDK (Saker digital kommunikation) had at its supplier.

  format.json          what this is, and in which version
  organisation.json    how the organisation was set up, without secrets
  certificates.pem     certificates of its keys; the private keys never leave a supplier
  mt/                  message service: messages, message receipts, digests that the log commits to, log
  ap/                  access point: transfers with transport receipts, what came in, log, peers' certificates
  mk/, gov/            message client and governance: records that are not handed over, log
  SHA256SUMS           digests of the files above, but for those that a file .sha256 has
  manifest.json        organisation, time, how many of what, where the logs end, digest of SHA256SUMS
  manifest.json.sig    signature on it (RSA PKCS #1 v1.5, SHA-256)
  certificate.pem      of the key that signed

Files .jsonl have one JSON object a line. Its "files" names the files that belong to it, byte for byte as
they were sent or received: SDK messages and message receipts (.xml), transport receipts (.soap), envelopes
that still wait (.xml, .xml.gz). A file .sha256 has the digests of a file .jsonl and of what belongs to it.

  sha256sum -c SHA256SUMS $(find . -name '*.sha256')
  sha256sum SHA256SUMS                  is "sha256sums" in manifest.json
  openssl x509 -in certificate.pem -pubkey -noout > key.pem
  openssl dgst -sha256 -verify key.pem -signature manifest.json.sig manifest.json

Whose certificate.pem is must be known otherwise: from the organisation, or from its issuer.

An entry of a log has the hash sha256(previous, sequence in 8 bytes, content), where "previous" is the hash
of the entry before it; before the first one it is sha256("samdrift log " and the log's id in manifest.json).
An entry with "retention" is a leaf of a Merkle tree (RFC 6962): its hash is sha256(salt, content), and its
leaf hash sha256(0, 2, sequence in 8 bytes, retention, hash), with 0, 2 and retention in one byte each. The
first of them names the head of the entries before; where a log ends is then the root of the tree. Signed
checkpoints of that tree, with cosignatures of witnesses (c2sp.org/tlog-checkpoint), are in checkpoints, the
keys in log_keys.
"""

UNPACKED = """\
En organisations meddelanden och handlingar i SDK (säker digital kommunikation), uppackade ur den export som
organisationen fick av sin leverantör. Exportens signatur, kontrollsummor och loggar är kontrollerade.

  index.csv            alla meddelanden, ett per rad; öppnas i ett kalkylprogram
  messages/            en mapp per meddelande: in- för inkomna, out- för skickade
    message.txt        att läsa: vem, när, texterna, bilagornas namn, händelser, kvittenser
    message.xml        meddelandet, byte för byte som det skickades eller kom
    message.json       uppgifter om meddelandet, bilagornas ursprungliga namn, status och händelser
    texts/             texterna, en fil per text
    attachments/       bilagorna; namnen är ändrade där ett filsystem inte kan ha dem
    receipt-*.xml      meddelandekvittenser, med uppgifter i .json
  receipts/            meddelandekvittenser till meddelanden som inte finns i exporten
  mt/, ap/             övrigt från meddelandetjänst och accesspunkt, och deras loggar (log.jsonl): JSON, en
                       post per rad
  mk/, gov/            detsamma från meddelandeklient och styrning; records.jsonl nämner handlingar som inte
                       har överlämnats
  organisation.json    organisationens konfiguration
  certificates.pem     certifikat för organisationens nycklar
  manifest.json        exportens innehåll, undertecknat (manifest.json.sig) med nyckeln till certificate.pem

I index.csv står tecknet ' först i celler som ett kalkylprogram annars kunde tolka som en formel.
Bilagor kommer från andra: öppna dem med samma försiktighet som bilagor i e-post.
"""
