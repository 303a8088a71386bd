//! The one way to make an HTTP client: the same TLS, name and time limits for every download and model server.

use std::time::Duration;

use url::{Host, Url};

/// How long a connection may take to come about.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client builder with this program's TLS provider, user agent and connect timeout. Proxies are taken from the
/// environment. There is no limit on a whole request: streams last as long as they give something.
pub fn client() -> reqwest::ClientBuilder {
    // Fails only when a provider is set already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("askdocs/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        // A URL can hold a key in its query; where it redirects to must not learn it.
        .referer(false)
}

/// Whether an address can only mean this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

/// Whether what is sent there travels in the open: without TLS to another machine. No secret is ever sent so.
pub fn is_in_the_open(url: &Url) -> bool {
    !matches!(url.scheme(), "https" | "unix") && !is_loopback(url)
}

/// An error with all its causes, as one line: the outermost alone ("error sending request") tells nothing.
pub fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}
