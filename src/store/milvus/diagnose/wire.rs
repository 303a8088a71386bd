//! One conversation with whoever listens: TLS as the client would do it, then HTTP/2 and one call; and what came back,
//! also when it was none of these.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use prost::Message;
use rustls::{
    CertificateError, ClientConfig, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Code, Diagnosis, Endpoint, Refusal, explain};

/// The call that every client begins with.
const CALL: &str = "/milvus.proto.milvus.MilvusService/Connect";
/// A gRPC message of no bytes: not compressed, length 0.
const EMPTY_MESSAGE: Bytes = Bytes::from_static(&[0; 5]);
/// How much of what comes first is looked at.
const FIRST_BYTES: usize = 1024;
const LONGEST_ANSWER_BYTES: usize = 1 << 16;
/// What came back from an HTTP/2 client's first words.
pub enum Heard {
    /// Not one byte.
    Nothing,
    Http1,
    Tls,
    /// HTTP/2, but no answer to the call.
    Http2,
    Other,
    Answer(Answer),
}

/// An answer to the call.
pub struct Answer {
    http: StatusCode,
    /// `None`: the answer is not gRPC's.
    grpc: Option<i32>,
    message: String,
    /// What Milvus itself says.
    milvus: Option<Status>,
}

/// `milvus.proto.common.Status`, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

/// `milvus.proto.milvus.ConnectResponse`, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct ConnectResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
}

impl Answer {
    pub fn meaning(self) -> Diagnosis {
        let Some(grpc) = self.grpc else {
            let status = self.http.as_u16();
            return match status {
                502..=504 => Diagnosis::Failed {
                    reason: format!("the gateway in front of it has no server behind it (HTTP {status})"),
                },
                _ => Diagnosis::NotMilvus { what: format!("a web server (HTTP {status})") },
            };
        };
        let refusal = match &self.milvus {
            Some(status) if status.code != 0 => explain(Code::Milvus(status.code), &status.reason),
            Some(_) | None => explain(Code::Grpc(grpc), &self.message),
        };
        match refusal {
            // This call was made without a token, whatever token there is.
            None | Some(Refusal::NoToken | Refusal::WrongToken) => Diagnosis::Answers,
            Some(refusal) => Diagnosis::Refused(refusal),
        }
    }
}

/// Speaks HTTP/2 and makes one call, until there is an answer or time is up.
pub async fn talk<S>(stream: S, scheme: &str, host: &str, until: Instant) -> Heard
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let first = Arc::new(Mutex::new(Vec::new()));
    let recorded = Recorded { stream, first: first.clone() };
    match timeout_at(until, call(recorded, scheme, host)).await {
        Ok(Some(answer)) => Heard::Answer(answer),
        Ok(None) | Err(_) => recognise(&first.lock().unwrap_or_else(PoisonError::into_inner)),
    }
}

fn recognise(first: &[u8]) -> Heard {
    let contains = |word: &[u8]| first.windows(word.len()).any(|window| window == word);
    match first {
        [] => Heard::Nothing,
        // A handshake or an alert; or a web server that tells a client without TLS what it wants.
        [0x15 | 0x16, 3, ..] => Heard::Tls,
        _ if contains(b"HTTPS") => Heard::Tls,
        // A frame of the type SETTINGS is the first thing that a server sends.
        [_, _, _, 4, _, 0, 0, 0, 0, ..] => Heard::Http2,
        _ if first.starts_with(b"HTTP/1") || contains(b"<html") || contains(b"<HTML") => Heard::Http1,
        _ => Heard::Other,
    }
}

/// `None`: there was no answer; what there was instead is in what was recorded.
async fn call<S>(stream: S, scheme: &str, host: &str) -> Option<Answer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let request = Request::post(format!("{scheme}://{host}{CALL}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .ok()?;
    let (client, connection) = h2::client::handshake(stream).await.ok()?;
    let answer = async {
        let (response, mut body) = client.ready().await.ok()?.send_request(request, false).ok()?;
        body.send_data(EMPTY_MESSAGE, true).ok()?;
        let (head, mut body) = response.await.ok()?.into_parts();
        let mut data = BytesMut::new();
        while let Some(piece) = body.data().await {
            let piece = piece.ok()?;
            body.flow_control().release_capacity(piece.len()).ok()?;
            if data.len() + piece.len() <= LONGEST_ANSWER_BYTES {
                data.extend_from_slice(&piece);
            }
        }
        let trailers = body.trailers().await.ok()?;
        // Where there is nothing but a status, it is in the head.
        let headers = trailers.unwrap_or(head.headers);
        let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let message = text("grpc-message").unwrap_or_default();
        Some(Answer {
            http: head.status,
            grpc: text("grpc-status").and_then(|status| status.parse().ok()),
            message: percent_encoding::percent_decode_str(message).decode_utf8_lossy().into_owned(),
            milvus: data
                .get(5..)
                .and_then(|message| ConnectResponse::decode(message).ok())
                .and_then(|said| said.status),
        })
    };
    let connection = async {
        // However it ends, it is up to the answer to say so: both may come together.
        drop(connection.await);
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = connection => never,
    }
}

/// A stream that keeps a copy of what comes first.
struct Recorded<S> {
    stream: S,
    first: Arc<Mutex<Vec<u8>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Recorded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FIRST_BYTES.saturating_sub(first.len());
        first.extend(buffer.filled().iter().skip(before).take(room));
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Recorded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// TLS as the client would do it.
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    identity: Arc<Identity>,
    ca: Option<PathBuf>,
}

pub enum Handshake {
    Done(Box<TlsStream<TcpStream>>),
    Failed(Diagnosis),
    /// The other side does not know TLS.
    NotTls,
}

impl Tls {
    pub async fn new(endpoint: &Endpoint, host: &str) -> Result<Self, Diagnosis> {
        let name = endpoint.tls_server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Diagnosis::TlsFailed {
            reason: format!("{name:?} is no name that a certificate can be for"),
        })?;
        let provider = Arc::new(ring::default_provider());
        let identity = Arc::new(Identity::new(endpoint, &provider).await?);
        let roots = roots(endpoint.ca_certificate.as_deref()).await?;
        let config = configure(provider, roots)?.with_client_cert_resolver(identity.clone());
        Ok(Self { config: over_http2(config), name, identity, ca: endpoint.ca_certificate.clone() })
    }

    pub async fn handshake(&self, stream: TcpStream, until: Instant) -> Handshake {
        let connecting = TlsConnector::from(self.config.clone()).connect(self.name.clone(), stream);
        let error = match timeout_at(until, connecting).await {
            Ok(Ok(stream)) => return Handshake::Done(Box::new(stream)),
            Ok(Err(error)) => error,
            Err(_) => return Handshake::NotTls,
        };
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            // Hung up without a word, or said something else.
            None | Some(rustls::Error::InvalidMessage(_)) => Handshake::NotTls,
            Some(rustls::Error::InvalidCertificate(error)) => Handshake::Failed(self.distrusted(error)),
            Some(rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)) => {
                Handshake::Failed(Diagnosis::NotMilvus { what: "a web server without HTTP/2".to_owned() })
            }
            Some(rustls::Error::AlertReceived(_)) if self.was_asked() => Handshake::Failed(self.identity.refused()),
            Some(error) => Handshake::Failed(Diagnosis::TlsFailed { reason: error.to_string() }),
        }
    }

    /// Whether the server wanted to know who we are.
    pub fn was_asked(&self) -> bool {
        self.identity.asked.load(Ordering::Relaxed)
    }

    /// What it means when a server asked, and then hung up.
    pub fn refused(&self) -> Diagnosis {
        self.identity.refused()
    }

    fn distrusted(&self, error: &CertificateError) -> Diagnosis {
        use CertificateError as E;
        let untrusted = |reason: String| Diagnosis::Untrusted { ca: self.ca.clone(), reason };
        let wanted = self.name.to_str().into_owned();
        match error {
            E::Expired => Diagnosis::Expired { days: 0 },
            E::ExpiredContext { time, not_after } => {
                Diagnosis::Expired { days: time.as_secs().saturating_sub(not_after.as_secs()) / 86_400 }
            }
            E::NotValidYet | E::NotValidYetContext { .. } => Diagnosis::NotYetValid,
            E::NotValidForName => Diagnosis::OtherName { wanted, offered: Vec::new() },
            E::NotValidForNameContext { presented, .. } => {
                Diagnosis::OtherName { wanted, offered: presented.iter().map(|name| bare(name)).collect() }
            }
            E::UnknownIssuer => untrusted("another authority signed it".to_owned()),
            E::BadSignature => untrusted("an authority of the same name, but with another key, signed it".to_owned()),
            other => untrusted(crate::text::one_line(&other.to_string())),
        }
    }
}

/// A name in a certificate as rustls writes it, `DnsName("localhost")`, without its kind.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').map_or(name, |(_, rest)| rest.strip_suffix(')').unwrap_or(rest));
    crate::text::one_line(inner.trim_matches('"'))
}

/// Whether whoever listens answers in TLS. Trusts nobody, so nothing comes of it.
pub async fn speaks_tls(stream: TcpStream, host: &str, until: Instant) -> bool {
    let Ok(config) = configure(Arc::new(ring::default_provider()), RootCertStore::empty()) else { return false };
    let Ok(name) = ServerName::try_from(host.to_owned()) else { return false };
    let first = Arc::new(Mutex::new(Vec::new()));
    let recorded = Recorded { stream, first: first.clone() };
    let connecting = TlsConnector::from(over_http2(config.with_no_client_auth())).connect(name, recorded);
    let ended = timeout_at(until, connecting).await;
    drop(ended);
    matches!(recognise(&first.lock().unwrap_or_else(PoisonError::into_inner)), Heard::Tls)
}

fn configure(
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, Diagnosis> {
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Diagnosis::TlsFailed { reason: error.to_string() })?;
    Ok(builder.with_root_certificates(roots))
}

fn over_http2(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

async fn roots(ca: Option<&Path>) -> Result<RootCertStore, Diagnosis> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        let setting = "store.ca_certificate";
        for certificate in certificates(setting, path).await? {
            roots.add(certificate).map_err(|error| unusable(setting, path, &error))?;
        }
    } else {
        // They are in many files on some systems.
        let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
        roots.add_parsable_certificates(loaded.map(|loaded| loaded.certs).unwrap_or_default());
    }
    Ok(roots)
}

fn unusable(setting: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> Diagnosis {
    Diagnosis::BadFile { setting, path: path.to_owned(), reason: crate::text::one_line(&reason.to_string()) }
}

async fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Diagnosis> {
    let pem = tokio::fs::read(path).await.map_err(|error| unusable(setting, path, &error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unusable(setting, path, &"there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(setting, path, &error)),
    }
}

/// Who we are, if anybody; and whether the server asked.
#[derive(Debug)]
struct Identity {
    certificate: Option<(PathBuf, Arc<CertifiedKey>)>,
    asked: AtomicBool,
}

impl Identity {
    async fn new(endpoint: &Endpoint, provider: &CryptoProvider) -> Result<Self, Diagnosis> {
        let asked = AtomicBool::new(false);
        let (Some(path), Some(key)) = (&endpoint.client_certificate, &endpoint.client_key) else {
            return Ok(Self { certificate: None, asked });
        };
        let chain = certificates("store.client_certificate", path).await?;
        let bad_key = |error: &dyn std::fmt::Display| unusable("store.client_key", key, error);
        let pem = tokio::fs::read(key).await.map_err(|error| bad_key(&error))?;
        let secret = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| bad_key(&error))?;
        let certified = CertifiedKey::from_der(chain, secret, provider).map_err(|error| bad_key(&error))?;
        Ok(Self { certificate: Some((path.clone(), Arc::new(certified))), asked })
    }

    fn refused(&self) -> Diagnosis {
        match &self.certificate {
            None => Diagnosis::WantsClientCertificate,
            Some((path, _)) => Diagnosis::ClientCertificateRefused { path: path.clone() },
        }
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certificate.as_ref().map(|(_, certified)| certified.clone())
    }

    /// Always said, so that it is asked of us.
    fn has_certs(&self) -> bool {
        true
    }
}
