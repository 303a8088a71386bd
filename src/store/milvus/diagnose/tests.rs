//! Against listeners on loopback that do what servers do.

use std::{future::Future, net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::PrivateKeyDer,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::*;

const LONG: Duration = Duration::from_secs(10);
/// For those that never answer.
const SHORT: Duration = Duration::from_millis(100);

/// The port of a listener that does this with every connection.
async fn listener<F, T>(serve: F) -> u16
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// What a server answers to a call.
#[derive(Clone, Copy)]
struct Says {
    http: u16,
    /// gRPC's status and message.
    status: Option<(&'static str, &'static str)>,
    body: &'static [u8],
}

const FINE: Says = Says { http: 200, status: Some(("0", "")), body: &[0; 5] };

async fn serve_http2<S: AsyncRead + AsyncWrite + Unpin>(stream: S, says: Says) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let response = Response::builder().status(says.http).body(()).unwrap();
        let mut body = respond.send_response(response, false).unwrap();
        body.send_data(Bytes::from_static(says.body), says.status.is_none()).unwrap();
        if let Some((status, message)) = says.status {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static(status));
            trailers.insert("grpc-message", HeaderValue::from_static(message));
            body.send_trailers(trailers).unwrap();
        }
    }
}

async fn http2(says: Says) -> u16 {
    listener(move |stream| serve_http2(stream, says)).await
}

/// Reads what comes, says this and hangs up.
async fn blurts(words: &'static [u8]) -> u16 {
    listener(move |mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(words).await;
    })
    .await
}

fn endpoint(uri: &str) -> Endpoint {
    Endpoint {
        address: Address::parse(uri).unwrap(),
        ca_certificate: None,
        client_certificate: None,
        client_key: None,
        tls_server_name: None,
    }
}

async fn found(uri: &str) -> Diagnosis {
    diagnose(&endpoint(uri), LONG).await
}

async fn not_milvus(port: u16) -> String {
    match found(&format!("http://127.0.0.1:{port}")).await {
        Diagnosis::NotMilvus { what } => what,
        other => panic!("{other:?}"),
    }
}

/// An authority, with its certificate in a file, and what it signs.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sign(&self, params: &CertificateParams) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// `client.pem` and `client.key`.
    fn write_client(&self) {
        let (certificate, key) = self.sign(&CertificateParams::default());
        std::fs::write(self.path("client.pem"), certificate.pem()).unwrap();
        std::fs::write(self.path("client.key"), key.serialize_pem()).unwrap();
    }

    /// The port of a gRPC server with TLS that is called `localhost`, where `change` does not say otherwise.
    async fn server(&self, change: impl FnOnce(&mut CertificateParams), clients_of: Option<&Authority>) -> u16 {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let (certificate, key) = self.sign(&params);
        let clients: Arc<dyn ClientCertVerifier> = match clients_of {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).unwrap();
                let provider = Arc::new(ring::default_provider());
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap()
            }
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        listener(move |stream| {
            let accepting = acceptor.accept(stream);
            async move {
                if let Ok(stream) = accepting.await {
                    serve_http2(stream, FINE).await;
                }
            }
        })
        .await
    }

    fn endpoint(&self, port: u16) -> Endpoint {
        Endpoint { ca_certificate: Some(self.path("ca.pem")), ..endpoint(&format!("https://localhost:{port}")) }
    }
}

#[tokio::test]
async fn nobody_there() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port();
    let host = "127.0.0.1".to_owned();
    assert_eq!(
        found(&format!("http://127.0.0.1:{port}")).await,
        Diagnosis::NothingListens { host: host.clone(), port }
    );

    // A label is at most 63 bytes long, so no name server is asked.
    let name = "x".repeat(64);
    assert!(matches!(found(&format!("http://{name}:1")).await, Diagnosis::UnknownHost { host, .. } if host == name));

    // As behind a firewall: whoever comes when the queue is full is not answered.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let full = socket.listen(1).unwrap();
    let (mut queue, port) = (Vec::new(), full.local_addr().unwrap().port());
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await {
        queue.push(stream);
    }
    let silent = diagnose(&endpoint(&format!("http://127.0.0.1:{port}")), SHORT).await;
    assert_eq!(silent, Diagnosis::NoAnswer { host, port });
}

#[tokio::test]
async fn somebody_else_there() {
    assert_eq!(not_milvus(blurts(b"HTTP/1.1 400 Bad Request\r\n\r\n").await).await, "a web server");
    assert_eq!(not_milvus(blurts(b"<!DOCTYPE HTML><html>").await).await, "a web server");
    assert_eq!(not_milvus(blurts(b"SSH-2.0-OpenSSH_9.6\r\n").await).await, "something else");
    let page = Says { http: 404, status: None, body: b"not here" };
    assert_eq!(not_milvus(http2(page).await).await, "a web server (HTTP 404)");

    let gateway = http2(Says { http: 503, ..page }).await;
    assert!(found(&format!("http://127.0.0.1:{gateway}")).await.to_string().contains("HTTP 503"));

    let other_grpc = Says { status: Some(("12", "unknown service milvus.proto.milvus.MilvusService")), ..FINE };
    let refusal = found(&format!("http://127.0.0.1:{}", http2(other_grpc).await)).await;
    assert!(matches!(refusal, Diagnosis::Refused(Refusal::NotMilvus { .. })), "{refusal:?}");
}

#[tokio::test]
async fn a_server_that_is_not_ready() {
    let mute = listener(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    assert_eq!(diagnose(&endpoint(&format!("http://127.0.0.1:{mute}")), SHORT).await, Diagnosis::Mute);
    assert_eq!(diagnose(&endpoint(&format!("https://127.0.0.1:{mute}")), SHORT).await, Diagnosis::Mute);

    let slow = listener(|stream| async move {
        let connection = h2::server::handshake(stream).await;
        std::future::pending::<()>().await;
        drop(connection);
    })
    .await;
    let found_slow = diagnose(&endpoint(&format!("http://127.0.0.1:{slow}")), SHORT).await;
    assert!(matches!(found_slow, Diagnosis::Slow { .. }), "{found_slow:?}");

    let refusal = async |says| match found(&format!("http://127.0.0.1:{}", http2(says).await)).await {
        Diagnosis::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    let starting = Says { status: Some(("2", "service unavailable: Milvus Proxy is not%0Aready yet")), ..FINE };
    let what = "service unavailable: Milvus Proxy is not ready yet".to_owned();
    assert_eq!(refusal(starting).await, Refusal::NotReady { what });
    // A `ConnectResponse` of a `Status` with the reason "x\x1b[31m" and the code 1.
    let body = b"\0\0\0\0\x0c\x0a\x0a\x12\x06x\x1b[31m\x18\x01";
    assert_eq!(refusal(Says { body, ..FINE }).await, Refusal::NotReady { what: "x[31m".to_owned() });
}

#[tokio::test]
async fn tls_on_one_side_only() {
    let authority = Authority::new();
    let with = authority.server(|_| {}, None).await;
    assert_eq!(found(&format!("http://localhost:{with}")).await, Diagnosis::WantsTls);
    let hint = blurts(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n").await;
    assert_eq!(found(&format!("http://localhost:{hint}")).await, Diagnosis::WantsTls);

    // Many hang up without a word on whoever does not begin with TLS.
    let curt = listener(|mut stream| async move {
        let mut hello = [0; 4096];
        if stream.read(&mut hello).await.is_ok_and(|length| length > 0) && hello[0] == 0x16 {
            let _ = stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).await;
        }
    })
    .await;
    assert_eq!(found(&format!("http://127.0.0.1:{curt}")).await, Diagnosis::WantsTls);

    let guarded = http2(Says { status: Some(("16", "missing authorization in header")), ..FINE }).await;
    assert_eq!(found(&format!("http://127.0.0.1:{guarded}")).await, Diagnosis::Answers);
    let without = http2(FINE).await;
    assert_eq!(found(&format!("http://127.0.0.1:{without}")).await, Diagnosis::Answers);
    assert_eq!(found(&format!("https://127.0.0.1:{without}")).await, Diagnosis::SpeaksPlain);
}

#[tokio::test]
async fn certificates_of_the_server() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = authority.server(|_| {}, None).await;
    let right = authority.endpoint(port);
    assert_eq!(diagnose(&right, LONG).await, Diagnosis::Answers);

    let untrusted = diagnose(&other.endpoint(port), LONG).await;
    assert!(
        matches!(&untrusted, Diagnosis::Untrusted { ca: Some(ca), .. } if *ca == other.path("ca.pem")),
        "{untrusted:?}"
    );

    let wanted = "milvus.example".to_owned();
    let misnamed = Endpoint { tls_server_name: Some(wanted.clone()), ..right.clone() };
    let offered = vec!["localhost".to_owned()];
    assert_eq!(diagnose(&misnamed, LONG).await, Diagnosis::OtherName { wanted, offered });
    let elsewhere = authority.server(|params| params.subject_alt_names.clear(), None).await;
    assert!(
        diagnose(&authority.endpoint(elsewhere), LONG)
            .await
            .to_string()
            .contains("for no name at all, not for localhost")
    );

    let old = authority.server(|params| params.not_after = date_time_ymd(2001, 1, 1), None).await;
    assert!(matches!(diagnose(&authority.endpoint(old), LONG).await, Diagnosis::Expired { days } if days > 365 * 20));
    let early = authority.server(|params| params.not_before = date_time_ymd(2999, 1, 1), None).await;
    assert_eq!(diagnose(&authority.endpoint(early), LONG).await, Diagnosis::NotYetValid);

    std::fs::write(authority.path("ca.pem"), "no PEM").unwrap();
    assert!(matches!(diagnose(&right, LONG).await, Diagnosis::BadFile { setting: "store.ca_certificate", .. }));
}

#[tokio::test]
async fn certificates_of_the_client() {
    let (authority, other) = (Authority::new(), Authority::new());
    let port = authority.server(|_| {}, Some(&authority)).await;
    let anonymous = authority.endpoint(port);
    assert_eq!(diagnose(&anonymous, LONG).await, Diagnosis::WantsClientCertificate);

    let with = |of: &Authority| {
        of.write_client();
        let (client_certificate, client_key) = (Some(of.path("client.pem")), Some(of.path("client.key")));
        Endpoint { client_certificate, client_key, ..anonymous.clone() }
    };
    assert_eq!(diagnose(&with(&authority), LONG).await, Diagnosis::Answers);
    let path = other.path("client.pem");
    assert_eq!(diagnose(&with(&other), LONG).await, Diagnosis::ClientCertificateRefused { path });

    let mixed = Endpoint { client_key: Some(other.path("client.key")), ..with(&authority) };
    assert!(matches!(diagnose(&mixed, LONG).await, Diagnosis::BadFile { setting: "store.client_key", .. }));
}

#[cfg(unix)]
#[tokio::test]
async fn sockets() {
    use tokio::net::UnixListener;

    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let look = async |name: &str| found(&format!("unix:{}", at(name).display())).await;
    assert_eq!(look("none").await, Diagnosis::NoSocket { path: at("none") });
    std::fs::write(at("milvus.db"), "").unwrap();
    assert_eq!(look("milvus.db").await, Diagnosis::NotASocket { path: at("milvus.db") });
    drop(UnixListener::bind(at("left")).unwrap());
    assert_eq!(look("left").await, Diagnosis::StaleSocket { path: at("left") });
    let listener = UnixListener::bind(at("live")).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve_http2(stream, FINE).await;
    });
    assert_eq!(look("live").await, Diagnosis::Answers);
}

#[test]
fn addresses() {
    let tcp = |host: &str, port, tls| Some(Address::Tcp { host: host.to_owned(), port, tls });
    assert_eq!(Address::parse("http://localhost:19530"), tcp("localhost", 19530, false));
    assert_eq!(Address::parse("https://in01.cloud.example"), tcp("in01.cloud.example", 443, true));
    assert_eq!(Address::parse("http://[::1]:19530"), tcp("::1", 19530, false));
    assert_eq!(Address::parse("unix:///run/m.sock"), Some(Address::Unix("/run/m.sock".into())));
    assert_eq!(Address::parse("unix:/run/m.sock"), Some(Address::Unix("/run/m.sock".into())));
    assert_eq!(Address::parse("ftp://localhost"), None);
    assert_eq!(Address::parse("localhost:19530"), None);
}

/// As real servers say it.
#[test]
fn refusals() {
    let said =
        |code, text| explain(code, text).map(|refusal| refusal.to_string().split(';').next().unwrap().to_owned());
    let cases = [
        (Code::Grpc(16), "missing authorization in header", "it wants to know who asks, and no token is set"),
        (
            Code::Grpc(16),
            "auth check failure, please check username and password are correct",
            "it does not accept the token",
        ),
        (
            Code::Grpc(7),
            "PrivilegeInsert: permission deny to bob",
            "this needs a right that the token's user does not have (PrivilegeInsert: permission deny to bob)",
        ),
        (Code::Milvus(800), "database not found[database=nope]", "there is no database \"nope\" on it"),
        (
            Code::Milvus(101),
            "failed to search: collection not loaded[collection=470671436637432902]",
            "the collection is not loaded into memory (yet)",
        ),
        (
            Code::Milvus(65535),
            "the length(3) of float data should divide the dim(4)",
            "its vectors have another length than these (the length(3) of float data should divide the dim(4))",
        ),
        (
            Code::Milvus(2000),
            " => vector dimension mismatch, expected vector size(byte) 16, actual 12. at Plan.cpp:63 : segcore error",
            "its vectors have another length than these (=> vector dimension mismatch, expected vector size(byte) 16, actual 12. at Plan.cpp:63 : segcore error)",
        ),
        (
            Code::Milvus(8),
            "rate limit exceeded[rate=1]",
            "it takes no more requests for now (rate limit exceeded[rate=1])",
        ),
        (
            Code::Grpc(2),
            "service unavailable: internal: Milvus Proxy is not ready yet. please wait",
            "it is not ready (service unavailable: internal: Milvus Proxy is not ready yet. please wait)",
        ),
        (
            Code::Milvus(1),
            "service not ready[proxy=1]: Abnormal",
            "it is not ready (service not ready[proxy=1]: Abnormal)",
        ),
        (Code::Milvus(9), "force deny", "it has no room left (force deny)"),
        (
            Code::Milvus(65535),
            "memory quota exceeded, please allocate more resources",
            "it has no room left (memory quota exceeded, please allocate more resources)",
        ),
        (
            Code::Grpc(8),
            "grpc: received message larger than max (70000000 vs. 67108864)",
            "a message is larger than it or the client takes (grpc: received message larger than max (70000000 vs. 67108864))",
        ),
        (
            Code::Grpc(12),
            "grpc-status header missing, mapped from HTTP status code 404",
            "it does not know the calls of Milvus (grpc-status header missing, mapped from HTTP status code 404)",
        ),
    ];
    for (code, text, expected) in cases {
        assert_eq!(said(code, text).as_deref(), Some(expected));
    }
    // What needs no person, or is explained elsewhere.
    assert_eq!(said(Code::Grpc(12), ""), None);
    assert_eq!(said(Code::Milvus(100), "collection not found[database=default][collection=nope]"), None);
    assert_eq!(said(Code::Milvus(1100), "Invalid expr: id >>> 0 and: invalid parameter"), None);
}
