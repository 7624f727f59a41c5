package samdrift.cxf;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import javax.xml.namespace.QName;

import jakarta.xml.soap.MessageFactory;
import jakarta.xml.soap.SOAPConstants;
import jakarta.xml.soap.SOAPElement;
import jakarta.xml.soap.SOAPException;
import jakarta.xml.soap.SOAPMessage;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;

import com.helger.json.IJsonObject;

/** Headers of ebMS 3 in SOAP 1.2: as little of them as a message and a receipt need. */
final class Ebms {
    static final String NAMESPACE = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/";
    static final QName MESSAGING = new QName(NAMESPACE, "Messaging", "eb");
    private static final String SIGNALS = "http://docs.oasis-open.org/ebxml-bp/ebbp-signals-2.0";
    private static final String DSIG = "http://www.w3.org/2000/09/xmldsig#";
    private static final String XMLNS = "http://www.w3.org/2000/xmlns/";
    private static final String PARTY_TYPE = "urn:fdc:digg.se:edelivery:transportprofile:as4:partytype:ap";

    private Ebms() {}

    /** A user message in DIGG's profile, for the payload with the content id {@code message}. */
    static SOAPMessage userMessage(IJsonObject request) throws SOAPException {
        SOAPMessage soap = empty();
        SOAPElement message = messaging(soap).addChildElement("UserMessage", "eb");
        information(message, request.getAsString("message_id"), null);
        SOAPElement parties = message.addChildElement("PartyInfo", "eb");
        party(parties, "From", request.getAsString("from"), "initiator");
        party(parties, "To", request.getAsString("to"), "responder");
        SOAPElement collaboration = message.addChildElement("CollaborationInfo", "eb");
        text(collaboration, "Service", request.getAsString("service"))
            .setAttribute("type", request.getAsString("service_type"));
        text(collaboration, "Action", request.getAsString("action"));
        text(collaboration, "ConversationId", request.getAsString("conversation"));
        SOAPElement properties = message.addChildElement("MessageProperties", "eb");
        for (String name : List.of("originalSender", "finalRecipient")) {
            SOAPElement property = property(properties, name, request.getAsString(name));
            property.setAttribute("type", "iso6523-actorid-upis");
        }
        SOAPElement part = message.addChildElement("PayloadInfo", "eb").addChildElement("PartInfo", "eb");
        part.setAttribute("href", "cid:message");
        SOAPElement described = part.addChildElement("PartProperties", "eb");
        property(described, "MimeType", "text/xml");
        property(described, "CompressionType", "application/gzip");
        return soap;
    }

    /** A receipt with a copy of every reference that the signature of {@code received} has. */
    static SOAPMessage receipt(SOAPMessage received) throws SOAPException {
        SOAPMessage soap = empty();
        SOAPElement signal = messaging(soap).addChildElement("SignalMessage", "eb");
        information(signal, UUID.randomUUID() + "@cxf.test", messageId(received));
        SOAPElement proof = signal.addChildElement("Receipt", "eb")
            .addChildElement("NonRepudiationInformation", "ebbp", SIGNALS);
        for (Element reference : references(received)) {
            SOAPElement part = proof.addChildElement("MessagePartNRInformation", "ebbp");
            Element copy = (Element) part.appendChild(part.getOwnerDocument().importNode(reference, true));
            // An import leaves declarations behind that stand further up, and what is signed would lack them.
            copy.setAttributeNS(XMLNS, "xmlns:" + reference.getPrefix(), DSIG);
        }
        return soap;
    }

    static String messageId(SOAPMessage message) throws SOAPException {
        return all(message.getSOAPHeader(), NAMESPACE, "MessageId").get(0).getTextContent();
    }

    /** The URIs and digests that a signature covers or a receipt tells of. */
    static List<String> digests(Iterable<Element> references) {
        List<String> found = new ArrayList<>();
        for (Element reference : references) {
            found.add(reference.getAttribute("URI") + " " + all(reference, DSIG, "DigestValue").get(0).getTextContent());
        }
        return found;
    }

    /** The references in the signature over a message. */
    static List<Element> references(SOAPMessage message) throws SOAPException {
        return all(all(message.getSOAPHeader(), DSIG, "SignedInfo").get(0), DSIG, "Reference");
    }

    /** The references that a receipt repeats; none when it is not a receipt. */
    static List<Element> proven(SOAPMessage message) throws SOAPException {
        List<Element> receipts = all(message.getSOAPHeader(), NAMESPACE, "Receipt");
        return receipts.isEmpty() ? List.of() : all(receipts.get(0), DSIG, "Reference");
    }

    /** Codes and details of the errors in an answer. */
    static List<Element> errors(SOAPMessage message) throws SOAPException {
        return all(message.getSOAPHeader(), NAMESPACE, "Error");
    }

    private static SOAPMessage empty() throws SOAPException {
        return MessageFactory.newInstance(SOAPConstants.SOAP_1_2_PROTOCOL).createMessage();
    }

    private static SOAPElement messaging(SOAPMessage soap) throws SOAPException {
        var header = soap.getSOAPHeader().addHeaderElement(MESSAGING);
        header.setMustUnderstand(true);
        return header;
    }

    private static void information(SOAPElement message, String id, String refersTo) throws SOAPException {
        SOAPElement information = message.addChildElement("MessageInfo", "eb");
        Instant now = Instant.now().truncatedTo(ChronoUnit.SECONDS);
        text(information, "Timestamp", now.toString().replace("Z", ".000Z"));
        text(information, "MessageId", id);
        if (refersTo != null) {
            text(information, "RefToMessageId", refersTo);
        }
    }

    private static void party(SOAPElement parties, String side, String name, String role) throws SOAPException {
        SOAPElement party = parties.addChildElement(side, "eb");
        text(party, "PartyId", name).setAttribute("type", PARTY_TYPE);
        text(party, "Role", NAMESPACE + role);
    }

    private static SOAPElement property(SOAPElement parent, String name, String value) throws SOAPException {
        SOAPElement property = text(parent, "Property", value);
        property.setAttribute("name", name);
        return property;
    }

    private static SOAPElement text(SOAPElement parent, String name, String value) throws SOAPException {
        return parent.addChildElement(name, "eb").addTextNode(value);
    }

    private static List<Element> all(Node parent, String namespace, String name) {
        NodeList found = ((Element) parent).getElementsByTagNameNS(namespace, name);
        List<Element> elements = new ArrayList<>();
        for (int at = 0; at < found.getLength(); at++) {
            elements.add((Element) found.item(at));
        }
        return elements;
    }
}
