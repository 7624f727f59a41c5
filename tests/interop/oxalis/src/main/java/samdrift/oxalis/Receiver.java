package samdrift.oxalis;

import java.net.InetAddress;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.util.Date;

import com.google.inject.AbstractModule;
import com.google.inject.Guice;
import com.google.inject.TypeLiteral;
import com.google.inject.util.Providers;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import io.opentelemetry.api.OpenTelemetry;
import network.oxalis.api.header.HeaderParser;
import network.oxalis.api.inbound.InboundService;
import network.oxalis.api.persist.PersisterHandler;
import network.oxalis.api.settings.Settings;
import network.oxalis.api.timestamp.Timestamp;
import network.oxalis.api.timestamp.TimestampProvider;
import network.oxalis.api.transmission.TransmissionVerifier;
import network.oxalis.as4.api.MessageIdGenerator;
import network.oxalis.as4.common.DefaultMessageIdGenerator;
import network.oxalis.as4.common.DummyHeaderParser;
import network.oxalis.as4.common.MerlinProvider;
import network.oxalis.as4.inbound.As4EndpointSelector;
import network.oxalis.as4.inbound.As4EndpointsPublisher;
import network.oxalis.as4.inbound.As4EndpointsPublisherImpl;
import network.oxalis.as4.inbound.As4Servlet;
import network.oxalis.as4.outbound.DefaultActionProvider;
import network.oxalis.as4.util.PolicyService;
import network.oxalis.commons.mode.OxalisCertificateValidator;
import network.oxalis.commons.security.KeyStoreConf;
import network.oxalis.vefa.peppol.mode.Mode;
import network.oxalis.vefa.peppol.security.lang.PeppolSecurityException;
import org.apache.cxf.wsdl.interceptors.AbstractEndpointSelectionInterceptor;
import org.eclipse.jetty.ee11.servlet.ServletContextHandler;
import org.eclipse.jetty.ee11.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * The receiving half of Oxalis' AS4: its own servlet, interceptors and handlers, at {@code /as4}.
 *
 * Replaced is what belongs to Peppol: the reader of the header in the payload, the judge of certificates, the
 * lookup of the recipient, and where messages are kept.
 */
final class Receiver {
    private final Inbox inbox = new Inbox();
    private final ServerConnector connector;

    Receiver(Identity self, X509Certificate issuer) throws Exception {
        Server server = new Server();
        connector = new ServerConnector(server);
        connector.setHost(InetAddress.getLoopbackAddress().getHostAddress());
        server.addConnector(connector);
        As4Servlet servlet = Guice.createInjector(new Parts(self, issuer)).getInstance(As4Servlet.class);
        ServletContextHandler context = new ServletContextHandler();
        context.addServlet(new ServletHolder(servlet), "/as4");
        server.setHandler(context);
        server.start();
    }

    int port() {
        return connector.getLocalPort();
    }

    Inbox inbox() {
        return inbox;
    }

    /** What Oxalis' classes ask for. */
    private final class Parts extends AbstractModule {
        private final Identity self;
        private final X509Certificate issuer;

        Parts(Identity self, X509Certificate issuer) {
            this.self = self;
            this.issuer = issuer;
        }

        @Override
        protected void configure() {
            // An instance would have its fields of a key store on disk injected.
            bind(MerlinProvider.class).toProvider(Providers.of(self));
            bind(new TypeLiteral<Settings<KeyStoreConf>>() {}).toInstance(self.keyStore());
            bind(AbstractEndpointSelectionInterceptor.class).to(As4EndpointSelector.class);
            bind(As4EndpointsPublisher.class).to(As4EndpointsPublisherImpl.class);
            bind(MessageIdGenerator.class).toInstance(new DefaultMessageIdGenerator("oxalis.test"));
            bind(PolicyService.class).toInstance(new PolicyService(new DefaultActionProvider()));
            bind(TimestampProvider.class).toInstance((content, direction) -> new Timestamp(new Date(), null));
            bind(HeaderParser.class).to(DummyHeaderParser.class);
            bind(TransmissionVerifier.class).toInstance((header, direction) -> {});
            bind(PersisterHandler.class).toInstance(inbox);
            bind(InboundService.class).toInstance(metadata -> {});
            bind(OxalisCertificateValidator.class).toInstance(new OxalisCertificateValidator(
                (service, certificate) -> verify(certificate), OpenTelemetry.noop().getTracer("")));
            bind(Mode.class).toInstance(Mode.of(Mode.TEST));
            bind(Config.class).toInstance(ConfigFactory.empty());
        }

        private void verify(X509Certificate certificate) throws PeppolSecurityException {
            try {
                certificate.verify(issuer.getPublicKey());
            } catch (GeneralSecurityException exception) {
                throw new PeppolSecurityException("Another authority issued the certificate.", exception);
            }
        }
    }
}
