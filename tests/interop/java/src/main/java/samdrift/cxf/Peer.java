package samdrift.cxf;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.zip.GZIPOutputStream;
import javax.xml.namespace.QName;

import jakarta.activation.DataHandler;
import jakarta.mail.util.ByteArrayDataSource;
import jakarta.xml.soap.SOAPMessage;
import jakarta.xml.ws.Dispatch;
import jakarta.xml.ws.Service;
import jakarta.xml.ws.soap.SOAPBinding;
import org.apache.cxf.Bus;
import org.apache.cxf.BusFactory;
import org.apache.cxf.attachment.AttachmentImpl;
import org.apache.cxf.endpoint.Client;
import org.apache.cxf.interceptor.AttachmentOutInterceptor;
import org.apache.cxf.jaxws.DispatchImpl;
import org.apache.cxf.jaxws.EndpointImpl;
import org.apache.cxf.message.Attachment;
import org.apache.cxf.message.Message;
import org.apache.cxf.phase.AbstractPhaseInterceptor;
import org.apache.cxf.phase.Phase;
import org.apache.cxf.staxutils.StaxUtils;
import org.apache.cxf.transport.servlet.CXFNonSpringServlet;
import org.apache.cxf.ws.policy.WSPolicyFeature;
import org.apache.cxf.ws.security.SecurityConstants;
import org.apache.cxf.ws.security.policy.custom.AlgorithmSuiteLoader;
import org.eclipse.jetty.ee11.servlet.ServletContextHandler;
import org.eclipse.jetty.ee11.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.w3c.dom.Element;

import com.helger.json.IJsonObject;
import com.helger.json.JsonArray;
import com.helger.json.JsonObject;

import samdrift.Conversation;
import samdrift.Encoded;

/**
 * An access point of Apache CXF and WSS4J: an endpoint and a client under one WS-SecurityPolicy.
 *
 * It does what a Domibus has CXF do, and no more: it finds no processing mode and knows no duplicates.
 */
public final class Peer {
    private final Bus bus = BusFactory.getDefaultBus();
    private final Element policy;
    private final Map<String, Object> security;
    private final Receiver receiver = new Receiver();
    private final int port;

    private Peer(IJsonObject self) throws Exception {
        bus.setExtension(Suite.loader(bus), AlgorithmSuiteLoader.class);
        policy = StaxUtils.read(new ByteArrayInputStream(Encoded.bytes(self, "policy"))).getDocumentElement();
        security = Security.properties(
            Encoded.key(self, "key"), Encoded.certificate(self, "certificate"), Encoded.certificate(self, "issuer"));
        port = serve();
        EndpointImpl endpoint = new EndpointImpl(bus, receiver);
        endpoint.getFeatures().add(feature());
        endpoint.getInInterceptors().add(new Understood());
        endpoint.setProperties(security);
        endpoint.publish("/as4");
    }

    public static void main(String[] arguments) throws Exception {
        Peer[] peer = new Peer[1];
        Conversation.hold((call, request) -> {
            switch (call) {
                case "start":
                    peer[0] = new Peer(request);
                    return new JsonObject().add("port", peer[0].port);
                case "received":
                    return new JsonObject().add("received", peer[0].receiver.drain());
                case "send":
                    return peer[0].send(request);
                default:
                    throw new IllegalArgumentException(call);
            }
        });
        System.exit(0);
    }

    private int serve() throws Exception {
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        connector.setHost(InetAddress.getLoopbackAddress().getHostAddress());
        server.addConnector(connector);
        CXFNonSpringServlet servlet = new CXFNonSpringServlet();
        servlet.setBus(bus);
        ServletContextHandler context = new ServletContextHandler();
        context.addServlet(new ServletHolder(servlet), "/*");
        server.setHandler(context);
        server.start();
        return connector.getLocalPort();
    }

    private WSPolicyFeature feature() {
        WSPolicyFeature feature = new WSPolicyFeature();
        feature.setPolicyElements(List.of((Element) policy.cloneNode(true)));
        return feature;
    }

    /** Sends one message; reports the errors in the answer, or whether its receipt repeats all that was signed. */
    private IJsonObject send(IJsonObject request) throws Exception {
        SOAPMessage message = Ebms.userMessage(request);
        AttachmentImpl payload = new AttachmentImpl("message", new DataHandler(
            new ByteArrayDataSource(compressed(Encoded.bytes(request, "payload")), "application/octet-stream")));
        Service service = Service.create(new QName("urn:samdrift:test:cxf", "As4"));
        QName name = new QName("urn:samdrift:test:cxf", "As4Port");
        service.addPort(name, SOAPBinding.SOAP12HTTP_BINDING, request.getAsString("address"));
        Dispatch<SOAPMessage> dispatch = service.createDispatch(name, SOAPMessage.class, Service.Mode.MESSAGE);
        Client client = ((DispatchImpl<?>) dispatch).getClient();
        feature().initialize(client, bus);
        client.getInInterceptors().add(new Understood());
        Signed signed = new Signed();
        client.getOutInterceptors().add(new Attaching(payload));
        client.getOutInterceptors().add(signed);
        dispatch.getRequestContext().put(AttachmentOutInterceptor.WRITE_ATTACHMENTS, true);
        dispatch.getRequestContext().putAll(security);
        dispatch.getRequestContext().put(SecurityConstants.ENCRYPT_CERT, Encoded.certificate(request, "to_certificate"));
        dispatch.getRequestContext().put(
            SecurityConstants.USE_ATTACHMENT_ENCRYPTION_CONTENT_ONLY_TRANSFORM, request.getAsBoolean("content_only"));
        SOAPMessage answer = dispatch.invoke(message);
        JsonArray errors = new JsonArray();
        for (Element error : Ebms.errors(answer)) {
            errors.add(error.getAttribute("errorCode"));
        }
        return new JsonObject()
            .add("proven", new TreeSet<>(Ebms.digests(Ebms.proven(answer))).equals(new TreeSet<>(signed.digests)))
            .add("signed", signed.digests.size())
            .add("errors", errors);
    }

    private static byte[] compressed(byte[] payload) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write(payload);
        }
        return bytes.toByteArray();
    }

    /** Has a message carry an attachment where WSS4J looks for it, which is not where SAAJ has its own. */
    private static final class Attaching extends AbstractPhaseInterceptor<Message> {
        private final Attachment attachment;

        Attaching(Attachment attachment) {
            super(Phase.SETUP);
            this.attachment = attachment;
        }

        @Override
        public void handleMessage(Message message) {
            message.setAttachments(new ArrayList<>(List.of(attachment)));
        }
    }

    /** Remembers what was signed in a message on its way out. */
    private static final class Signed extends AbstractPhaseInterceptor<Message> {
        private List<String> digests = List.of();

        Signed() {
            super(Phase.POST_PROTOCOL_ENDING);
        }

        @Override
        public void handleMessage(Message message) {
            try {
                digests = Ebms.digests(Ebms.references(message.getContent(SOAPMessage.class)));
            } catch (Exception exception) {
                throw new IllegalStateException(exception);
            }
        }
    }
}
