//! Why a Milvus server can't be used. The client tries again until its time is up and then says only that; here each step
//! is done by itself (find the name, connect, TLS, HTTP/2, one call), so that the step that fails can be named.
//!
//! Knows no collections and no client; sends nothing secret: an empty `Connect` call without a token.

mod explain;
#[cfg(test)]
mod tests;
mod wire;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use url::{Host, Url};

pub use self::explain::{Code, Refusal, explain};
use self::wire::{Handshake, Heard};

/// Where the server is, and what is used to reach it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub address: Address,
    /// PEM files. A CA replaces the system's roots.
    pub ca_certificate: Option<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// The name that the server's certificate is for, where it is not the host's.
    pub tls_server_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `host` is a name or an address, IPv6 without brackets.
    Tcp {
        host: String,
        port: u16,
        tls: bool,
    },
    Unix(PathBuf),
}

impl Address {
    /// Of `http://host:port`, `https://host:port` or `unix:/path`.
    pub fn parse(uri: &str) -> Option<Self> {
        if let Some(path) = uri.strip_prefix("unix:") {
            return Some(Self::Unix(PathBuf::from(path.strip_prefix("//").unwrap_or(path))));
        }
        let url = Url::parse(uri).ok()?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Some(Self::Tcp { host, port: url.port_or_known_default()?, tls })
    }
}

/// What stands in the way, for a person, with the next step. To be read after "SERVER can't be reached: ".
#[cfg_attr(not(unix), expect(dead_code, reason = "what is told of sockets"))]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Diagnosis {
    #[error("no machine called {host:?} is found ({reason}); hint: check how the name is spelled, and the network")]
    UnknownHost { host: String, reason: String },
    #[error(
        "nothing listens on port {port} of {host}; hint: start the server there, or correct the port (Milvus' own is 19530)"
    )]
    NothingListens { host: String, port: u16 },
    #[error(
        "{host} does not answer on port {port}; hint: check the address, whether the machine is on, and whether a firewall is between"
    )]
    NoAnswer { host: String, port: u16 },
    #[error("there is no way to {host} ({reason}); hint: check the network")]
    NoRoute { host: String, reason: String },
    #[error(
        "what listens there takes connections and says nothing; hint: it may be starting or overloaded, so try again in a moment; else check the port (Milvus' own is 19530)"
    )]
    Mute,
    #[error(
        "{what} answers there, no Milvus; hint: correct the port (Milvus' own is 19530; 9091 is its health and metrics page)"
    )]
    NotMilvus { what: String },
    #[error("it wants TLS; hint: write https:// in place of http://")]
    WantsTls,
    #[error("it speaks without TLS; hint: write http:// in place of https://, or turn TLS on in the server (tls mode)")]
    SpeaksPlain,
    #[error("its certificate is not trusted{}: {reason}; hint: set store.ca_certificate to the PEM file of the authority that signed it", by(ca.as_deref()))]
    Untrusted { ca: Option<PathBuf>, reason: String },
    #[error(
        "its certificate is for {}, not for {wanted}; hint: use a name it is for, or set store.tls_server_name to one",
        listed(offered)
    )]
    OtherName { wanted: String, offered: Vec<String> },
    #[error("its certificate ended {days} days ago; hint: it needs a new one, or this machine's clock is wrong")]
    Expired { days: u64 },
    #[error("its certificate is not valid yet; hint: is this machine's clock right?")]
    NotYetValid,
    #[error("it wants a client certificate; hint: set store.client_certificate and store.client_key")]
    WantsClientCertificate,
    #[error(
        "it does not accept the client certificate {}; hint: it has to be signed by the authority that the server trusts, and be valid", path.display()
    )]
    ClientCertificateRefused { path: PathBuf },
    #[error("TLS failed: {reason}; hint: check the server's TLS settings")]
    TlsFailed { reason: String },
    #[error("{} can't be used as {setting}: {reason}; hint: it has to be a PEM file", path.display())]
    BadFile { setting: &'static str, path: PathBuf, reason: String },
    #[error("there is no socket {}; hint: start the server, or correct the path", path.display())]
    NoSocket { path: PathBuf },
    #[error("{} is no socket; hint: correct the path; a Milvus Lite file is given without `unix:`", path.display())]
    NotASocket { path: PathBuf },
    #[error("nothing listens on the socket {} any more; hint: start the server again", path.display())]
    StaleSocket { path: PathBuf },
    #[error("{} may not be opened; hint: check the permissions of the file and its folder, and who you are", path.display())]
    NoPermission { path: PathBuf },
    #[error(
        "it speaks gRPC but did not answer a call within {waited:?}; hint: it may be starting or overloaded; try again in a moment"
    )]
    Slow { waited: Duration },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("it answers now; hint: try again")]
    Answers,
    #[error("connecting failed: {reason}; hint: check the address")]
    Failed { reason: String },
}

impl Diagnosis {
    /// Whether it may pass while one waits, as with a server that is starting.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Mute | Self::Slow { .. } | Self::Answers => true,
            Self::Refused(refusal) => matches!(refusal, Refusal::NotReady { .. } | Refusal::NoToken),
            Self::UnknownHost { .. }
            | Self::NothingListens { .. }
            | Self::NoAnswer { .. }
            | Self::NoRoute { .. }
            | Self::NotMilvus { .. }
            | Self::WantsTls
            | Self::SpeaksPlain
            | Self::Untrusted { .. }
            | Self::OtherName { .. }
            | Self::Expired { .. }
            | Self::NotYetValid
            | Self::WantsClientCertificate
            | Self::ClientCertificateRefused { .. }
            | Self::TlsFailed { .. }
            | Self::BadFile { .. }
            | Self::NoSocket { .. }
            | Self::NotASocket { .. }
            | Self::StaleSocket { .. }
            | Self::NoPermission { .. }
            | Self::Failed { .. } => false,
        }
    }
}

fn by(ca: Option<&Path>) -> String {
    ca.map(|path| format!(" by {}", path.display())).unwrap_or_default()
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}

/// Goes to the server and sees, within `limit`.
pub async fn diagnose(endpoint: &Endpoint, limit: Duration) -> Diagnosis {
    let started = Instant::now();
    // Half for the way the server is supposed to be talked to, half for seeing what it would rather have.
    let (half, end) = (started + limit / 2, started + limit);
    let found = match &endpoint.address {
        Address::Unix(path) => unix(path, end).await,
        Address::Tcp { host, port, tls: false } => plain(host, *port, half, end).await,
        Address::Tcp { host, port, tls: true } => encrypted(endpoint, host, *port, half, end).await,
    };
    found.unwrap_or_else(|found| found)
}

/// What a step gives when it settles the matter, and what when it doesn't: both say it.
type Found = Result<Diagnosis, Diagnosis>;

async fn plain(host: &str, port: u16, half: Instant, end: Instant) -> Found {
    let heard = wire::talk(connect(host, port, half).await?, "http", host, half).await;
    match heard {
        Heard::Nothing => {}
        heard => return Ok(understood(heard, half)),
    }
    // Some servers say so when they want TLS, most just hang up.
    let stream = connect(host, port, end).await?;
    Ok(if wire::speaks_tls(stream, host, end).await { Diagnosis::WantsTls } else { Diagnosis::Mute })
}

async fn encrypted(endpoint: &Endpoint, host: &str, port: u16, half: Instant, end: Instant) -> Found {
    let tls = wire::Tls::new(endpoint, host).await?;
    match tls.handshake(connect(host, port, half).await?, half).await {
        Handshake::Done(stream) => Ok(match wire::talk(stream, "https", host, half).await {
            // With TLS 1.3 the server looks at the client's certificate after the client is done.
            Heard::Nothing if tls.was_asked() => tls.refused(),
            heard => understood(heard, half),
        }),
        Handshake::Failed(found) => Ok(found),
        Handshake::NotTls => {
            let heard = wire::talk(connect(host, port, end).await?, "http", host, end).await;
            Ok(match heard {
                Heard::Nothing => Diagnosis::Mute,
                Heard::Http2 | Heard::Answer(_) => Diagnosis::SpeaksPlain,
                heard @ (Heard::Http1 | Heard::Tls | Heard::Other) => understood(heard, end),
            })
        }
    }
}

#[cfg(not(unix))]
async fn unix(_: &Path, _: Instant) -> Found {
    Ok(Diagnosis::Failed { reason: "there are no such sockets on this system".to_owned() })
}

#[cfg(unix)]
async fn unix(path: &Path, end: Instant) -> Found {
    use std::os::unix::fs::FileTypeExt;

    use tokio::net::UnixStream;

    let path_of = |error: io::Error| {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Diagnosis::NoSocket { path },
            io::ErrorKind::PermissionDenied => Diagnosis::NoPermission { path },
            io::ErrorKind::ConnectionRefused => Diagnosis::StaleSocket { path },
            _ => Diagnosis::Failed { reason: error.to_string() },
        }
    };
    let file = tokio::fs::metadata(path).await.map_err(path_of)?;
    if !file.file_type().is_socket() {
        return Ok(Diagnosis::NotASocket { path: path.to_owned() });
    }
    let stream = timeout_at(end, UnixStream::connect(path)).await.map_err(|_| Diagnosis::Mute)?.map_err(path_of)?;
    Ok(understood(wire::talk(stream, "http", "localhost", end).await, end))
}

fn understood(heard: Heard, until: Instant) -> Diagnosis {
    let other = |what: &str| Diagnosis::NotMilvus { what: what.to_owned() };
    match heard {
        Heard::Nothing => Diagnosis::Mute,
        Heard::Http1 => other("a web server"),
        Heard::Tls => Diagnosis::WantsTls,
        Heard::Http2 => Diagnosis::Slow { waited: until.elapsed() },
        Heard::Other => other("something else"),
        Heard::Answer(answer) => answer.meaning(),
    }
}

/// Connects to the first of the host's addresses that lets one.
async fn connect(host: &str, port: u16, until: Instant) -> Result<TcpStream, Diagnosis> {
    let addresses = look_up(host, port, until).await?;
    let mut found = Diagnosis::NoAnswer { host: host.to_owned(), port };
    for (tried, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let share = until.saturating_duration_since(now) / (addresses.len() - tried) as u32;
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => found = unconnected(host, port, &error),
            Err(_) => found = Diagnosis::NoAnswer { host: host.to_owned(), port },
        }
    }
    Err(found)
}

fn unconnected(host: &str, port: u16, error: &io::Error) -> Diagnosis {
    let host = host.to_owned();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Diagnosis::NothingListens { host, port },
        io::ErrorKind::TimedOut => Diagnosis::NoAnswer { host, port },
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            Diagnosis::NoRoute { host, reason: error.to_string() }
        }
        _ => Diagnosis::Failed { reason: error.to_string() },
    }
}

async fn look_up(host: &str, port: u16, until: Instant) -> Result<Vec<SocketAddr>, Diagnosis> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let unknown = |reason: &str| Diagnosis::UnknownHost { host: host.to_owned(), reason: reason.to_owned() };
    match timeout_at(until, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(unknown(&error.to_string())),
        Err(_) => Err(unknown("the name server does not answer")),
    }
}
