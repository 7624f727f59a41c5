package samdrift.santuario;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import javax.crypto.KeyGenerator;
import javax.crypto.SecretKey;
import javax.xml.parsers.DocumentBuilderFactory;

import org.apache.xml.security.Init;
import org.apache.xml.security.c14n.Canonicalizer;
import org.apache.xml.security.encryption.EncryptedData;
import org.apache.xml.security.encryption.EncryptedKey;
import org.apache.xml.security.encryption.XMLCipher;
import org.apache.xml.security.keys.KeyInfo;
import org.apache.xml.security.keys.content.X509Data;
import org.apache.xml.security.signature.XMLSignature;
import org.apache.xml.security.transforms.Transforms;
import org.apache.xml.security.utils.Constants;
import org.apache.xml.security.utils.EncryptionConstants;
import org.apache.xml.security.utils.XMLUtils;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

import com.helger.json.IJsonObject;
import com.helger.json.JsonObject;

import samdrift.Conversation;
import samdrift.Encoded;

/** Apache Santuario on whole documents: signs, verifies, encrypts and decrypts in place. */
public final class Peer {
    private Peer() {}

    public static void main(String[] arguments) throws Exception {
        Init.init();
        Conversation.hold((call, request) -> {
            Document document = parsed(Encoded.bytes(request, "document"));
            switch (call) {
                case "sign":
                    return sign(document, request);
                case "verify":
                    return verify(document);
                case "encrypt":
                    return encrypt(document, request);
                case "decrypt":
                    return decrypt(document, Encoded.key(request, "key"));
                default:
                    throw new IllegalArgumentException(call);
            }
        });
    }

    /** Appends an enveloped signature over the whole document to its root. */
    private static IJsonObject sign(Document document, IJsonObject request) throws Exception {
        X509Certificate certificate = Encoded.certificate(request, "certificate");
        String canonicalization = request.getAsString("canonicalization");
        XMLSignature signature = new XMLSignature(
            document, "", XMLSignature.ALGO_ID_SIGNATURE_RSA_SHA256, canonicalization);
        document.getDocumentElement().appendChild(signature.getElement());
        Transforms transforms = new Transforms(document);
        transforms.addTransform(Transforms.TRANSFORM_ENVELOPED_SIGNATURE);
        if (request.getAsBoolean("as_transform")) {
            transforms.addTransform(canonicalization);
        }
        signature.addDocument("", transforms, EncryptionConstants.EncryptionSpecNS + "sha256");
        signature.addKeyInfo(certificate);
        signature.sign(Encoded.key(request, "key"));
        return serialized(document);
    }

    /** Verifies the one signature with the certificate in it; names what it covers. */
    private static IJsonObject verify(Document document) throws Exception {
        Element element = one(document, Constants.SignatureSpecNS, "Signature");
        XMLSignature signature = new XMLSignature(element, "", true);
        X509Certificate certificate = signature.getKeyInfo().getX509Certificate();
        return new JsonObject()
            .add("valid", signature.checkSignatureValue(certificate))
            .add("references", signature.getSignedInfo().getLength())
            .add("uri", signature.getSignedInfo().item(0).getURI())
            .add("certificate", Encoded.text(certificate));
    }

    /** Encrypts the one element below {@code xha:PayloadContent}, for the holder of a certificate. */
    private static IJsonObject encrypt(Document document, IJsonObject request) throws Exception {
        X509Certificate recipient = Encoded.certificate(request, "recipient");
        String algorithm = request.getAsString("algorithm");
        KeyGenerator generator = KeyGenerator.getInstance("AES");
        generator.init(algorithm.contains("128") ? 128 : 256);
        SecretKey key = generator.generateKey();
        XMLCipher transport = XMLCipher.getInstance(
            request.getAsString("transport"), null, request.getAsString("digest"));
        transport.init(XMLCipher.WRAP_MODE, recipient.getPublicKey());
        EncryptedKey wrapped = transport.encryptKey(document, key, request.getAsString("mask"), null);
        KeyInfo whose = new KeyInfo(document);
        X509Data named = new X509Data(document);
        named.addCertificate(recipient);
        whose.add(named);
        wrapped.setKeyInfo(whose);
        XMLCipher cipher = XMLCipher.getInstance(algorithm);
        cipher.init(XMLCipher.ENCRYPT_MODE, key);
        EncryptedData data = cipher.getEncryptedData();
        KeyInfo with = new KeyInfo(document);
        with.add(wrapped);
        data.setKeyInfo(with);
        cipher.doFinal(document, payload(document));
        return serialized(document);
    }

    /** Puts the plaintext in place of the one {@code xenc:EncryptedData}. */
    private static IJsonObject decrypt(Document document, PrivateKey key) throws Exception {
        XMLCipher cipher = XMLCipher.getInstance();
        cipher.init(XMLCipher.DECRYPT_MODE, null);
        cipher.setKEK(key);
        cipher.doFinal(document, one(document, EncryptionConstants.EncryptionSpecNS, "EncryptedData"));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        Canonicalizer.getInstance(Canonicalizer.ALGO_ID_C14N_EXCL_OMIT_COMMENTS)
            .canonicalizeSubtree(payload(document), bytes);
        return new JsonObject().add("payload", Encoded.text(bytes.toByteArray()));
    }

    private static Element payload(Document document) {
        Element content = one(
            document, "http://docs.oasis-open.org/bdxr/ns/XHE/1/AggregateComponents", "PayloadContent");
        return XMLUtils.getNextElement(content.getFirstChild());
    }

    private static Element one(Document document, String namespace, String name) {
        var found = document.getElementsByTagNameNS(namespace, name);
        if (found.getLength() != 1) {
            throw new IllegalArgumentException(found.getLength() + " " + name);
        }
        return (Element) found.item(0);
    }

    private static Document parsed(byte[] bytes) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        return factory.newDocumentBuilder().parse(new ByteArrayInputStream(bytes));
    }

    private static IJsonObject serialized(Document document) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        XMLUtils.outputDOM(document, bytes);
        return new JsonObject().add("document", Encoded.text(bytes.toByteArray()));
    }
}
