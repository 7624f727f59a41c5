package samdrift.cxf;

import java.util.Set;
import javax.xml.namespace.QName;

import org.apache.cxf.binding.soap.SoapMessage;
import org.apache.cxf.binding.soap.interceptor.AbstractSoapInterceptor;
import org.apache.cxf.phase.Phase;

/** Has CXF take {@code eb:Messaging}, which must be understood, for understood. */
final class Understood extends AbstractSoapInterceptor {
    Understood() {
        super(Phase.PRE_PROTOCOL);
    }

    @Override
    public Set<QName> getUnderstoodHeaders() {
        return Set.of(Ebms.MESSAGING);
    }

    @Override
    public void handleMessage(SoapMessage message) {
        // Being asked for headers is all.
    }
}
