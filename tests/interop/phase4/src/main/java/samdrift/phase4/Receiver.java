package samdrift.phase4;

import java.net.InetAddress;
import java.util.Set;
import javax.net.ssl.SSLContext;

import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.ssl.SslContextFactory;

import com.helger.collection.commons.CommonsArrayList;
import com.helger.http.EHttpMethod;
import com.helger.phase4.crypto.IAS4CryptoFactory;
import com.helger.phase4.incoming.AS4IncomingProfileSelectorConstant;
import com.helger.phase4.incoming.AS4RequestHandler;
import com.helger.phase4.servlet.AS4UnifiedResponse;
import com.helger.phase4.servlet.AS4XServletHandler;
import com.helger.phase4.servlet.IAS4ServletRequestHandlerCustomizer;
import com.helger.web.scope.IRequestWebScopeWithoutResponse;
import com.helger.web.scope.mgr.WebScopeManager;
import com.helger.xservlet.AbstractXServlet;

/**
 * An access point's address on loopback: phase4's own handler of requests, in a servlet in Jetty.
 *
 * While it runs, phase4 has the global scope that it needs for sending as well.
 */
final class Receiver {
    private final Server server = new Server();
    private final ServerConnector connector;

    Receiver(String party, IAS4CryptoFactory keys, SSLContext tls, Set<String> actions, Inbox inbox) {
        SslContextFactory.Server secure = new SslContextFactory.Server();
        secure.setSslContext(tls);
        connector = new ServerConnector(server, secure);
        connector.setHost(InetAddress.getLoopbackAddress().getHostAddress());
        server.addConnector(connector);
        ServletContextHandler context = new ServletContextHandler();
        WebScopeManager.onGlobalBegin(context.getServletContext());
        context.addServlet(new ServletHolder(new Servlet(new Settings(party, keys, actions, inbox))), "/as4");
        server.setHandler(context);
    }

    /** Starts to listen; gives the port. */
    int start() throws Exception {
        server.start();
        return connector.getLocalPort();
    }

    void stop() throws Exception {
        server.stop();
        WebScopeManager.onGlobalEnd();
    }

    /** phase4's AS4Servlet, but with settings of ours; it takes its own from files alone. */
    private static final class Servlet extends AbstractXServlet {
        private static final long serialVersionUID = 1;

        Servlet(IAS4ServletRequestHandlerCustomizer settings) {
            settings().setMultipartEnabled(false);
            handlerRegistry().registerHandler(
                EHttpMethod.POST, new AS4XServletHandler().setRequestHandlerCustomizer(settings));
        }
    }

    /** Who receives, what, and where it goes. */
    private record Settings(String party, IAS4CryptoFactory keys, Set<String> actions, Inbox inbox)
        implements IAS4ServletRequestHandlerCustomizer {
        @Override
        public void customizeBeforeHandling(
            IRequestWebScopeWithoutResponse scope, AS4UnifiedResponse answer, AS4RequestHandler handler) {
            handler.setCryptoFactory(keys);
            handler.setPModeResolver((id, service, action, from, to, agreement, address) ->
                actions.contains(action) && party.equals(to) ? ProcessingMode.between(from, to, service, action) : null);
            handler.setIncomingProfileSelector(new AS4IncomingProfileSelectorConstant(null));
            handler.setProcessorSupplier(() -> new CommonsArrayList<>(inbox));
        }

        @Override
        public void customizeAfterHandling(
            IRequestWebScopeWithoutResponse scope, AS4UnifiedResponse answer, AS4RequestHandler handler) {
            // The answer stays as phase4 made it.
        }
    }
}
