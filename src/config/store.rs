use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use url::Url;

use super::{
    raw::{RawStore, nearest},
    seconds,
};

/// The environment variable that a token is read from where none is named.
pub const TOKEN_ENV: &str = "MILVUS_TOKEN";
/// Where a Milvus server listens when nobody says otherwise, and https everywhere.
const MILVUS_PORT: u16 = 19530;
const HTTPS_PORT: u16 = 443;

const FORMS: &str = "use \"embedded\", a Milvus Lite file such as ./milvus_demo.db, http://localhost:19530, https://HOST, or unix:/PATH";

/// Which engine keeps the collections, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Files in the data folder.
    Embedded,
    /// A Milvus Lite database by its absolute path.
    Lite(PathBuf),
    /// A Milvus server: `http://host:port`, `https://host:port` or `unix:/path`, never with a secret in it.
    Server(String),
}

impl Place {
    /// Whether the connection is encrypted by TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Server(uri) if uri.starts_with("https:"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Lite(file) => write!(f, "{}", file.display()),
            Self::Server(uri) => f.write_str(uri),
        }
    }
}

/// The store, and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    pub place: Place,
    /// `None`: the server's default.
    pub database: Option<String>,
    /// Name of the environment variable that holds the token; the token itself is never kept here.
    pub token_env: Option<String>,
    pub tls: Tls,
    pub connect_timeout: Duration,
    pub call_timeout: Duration,
    /// Whether the options above were written for `place`, or for whatever the command line or the environment names.
    pub named: bool,
}

/// PEM files and the server's name, for `https://`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Takes the place of the system's roots.
    pub ca_certificate: Option<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// The name that the server's certificate is for, where it is not the host's.
    pub server_name: Option<String>,
}

impl Store {
    pub(super) fn from_raw(raw: RawStore) -> Result<Self, (&'static str, String)> {
        let filled = |value: Option<String>| value.filter(|text| !text.is_empty());
        let file = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        let (engine, uri) = (filled(raw.engine), filled(raw.uri));
        let token_env = raw.token_env.unwrap_or_else(|| TOKEN_ENV.to_owned());
        if token_env.chars().any(|c| !(c.is_ascii_alphanumeric() || c == '_')) {
            // Not repeated: it may be the token.
            return Err((
                "store.token_env",
                format!(
                    "it must be a variable's name, such as {TOKEN_ENV}; the token itself goes into that environment variable"
                ),
            ));
        }
        let (place, in_uri) = match (engine.as_deref(), &uri) {
            (None | Some("embedded"), None) => (Place::Embedded, None),
            (Some("milvus"), None) => (Place::Server(format!("http://localhost:{MILVUS_PORT}")), None),
            (Some("embedded"), Some(_)) => {
                return Err((
                    "store.uri",
                    "the embedded store has none; leave `engine` out, or take the uri out".to_owned(),
                ));
            }
            (None | Some("milvus"), Some(uri)) => {
                match parse(uri, &token_env).map_err(|message| ("store.uri", message))? {
                    (Place::Embedded, _) if engine.is_some() => {
                        return Err((
                            "store.uri",
                            format!("engine \"milvus\" and uri \"embedded\" contradict each other; {FORMS}"),
                        ));
                    }
                    parsed => parsed,
                }
            }
            (Some(other), _) => {
                let advice = match nearest(other, &["embedded", "milvus"]) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => "use \"embedded\" or \"milvus\"".to_owned(),
                };
                return Err(("store.engine", format!("no such engine: {other:?}; {advice}")));
            }
        };
        let store = Self {
            database: in_uri.or(filled(raw.database)),
            token_env: Some(token_env).filter(|name| !name.is_empty()),
            tls: Tls {
                ca_certificate: file(raw.ca_certificate),
                client_certificate: file(raw.client_certificate),
                client_key: file(raw.client_key),
                server_name: filled(raw.tls_server_name),
            },
            connect_timeout: seconds("store.connect_timeout_s", raw.connect_timeout_s, 5)?,
            call_timeout: seconds("store.call_timeout_s", raw.call_timeout_s, 10)?,
            named: uri.is_some(),
            place,
        };
        store.check()?;
        Ok(store)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let Tls { ca_certificate, client_certificate, client_key, server_name } = &self.tls;
        match (client_certificate, client_key) {
            (Some(_), None) => {
                return Err(("store.client_certificate", "it needs its `client_key` beside it".to_owned()));
            }
            (None, Some(_)) => {
                return Err(("store.client_key", "it needs its `client_certificate` beside it".to_owned()));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if !self.named {
            return Ok(());
        }
        let given = [
            ("store.ca_certificate", ca_certificate.is_some()),
            ("store.client_certificate", client_certificate.is_some()),
            ("store.tls_server_name", server_name.is_some()),
        ];
        if let Some((key, _)) = given.into_iter().find(|(_, given)| *given && !self.place.is_tls()) {
            let message = format!("it is for a uri that begins with https://, and this one is {}", self.place);
            return Err((key, message));
        }
        match (&self.place, &self.database) {
            (Place::Embedded | Place::Lite(_), Some(_)) => {
                Err(("store.database", format!("only a server has databases, and the uri is {}", self.place)))
            }
            (Place::Embedded | Place::Lite(_) | Place::Server(_), _) => Ok(()),
        }
    }

    /// The store that `uri` names instead, as `--store` and `MILVUS_URI` do. What the file says of another uri (its
    /// database, certificates, token) stays with that one: a secret is not for whoever happens to be named next.
    ///
    /// # Errors
    /// What is wrong with `uri`, for people; its text is not repeated where it may hold a password.
    pub fn at(&self, uri: &str) -> Result<Self, String> {
        let own = self.token_env.clone().unwrap_or_else(|| TOKEN_ENV.to_owned());
        let (place, in_uri) = parse(uri, &own)?;
        let same = !self.named || self.place == place;
        let tls = if same && place.is_tls() { self.tls.clone() } else { Tls::default() };
        let database = match &place {
            Place::Server(_) => in_uri.or_else(|| self.database.clone().filter(|_| same)),
            Place::Embedded | Place::Lite(_) => None,
        };
        let token_env = if same { self.token_env.clone() } else { Some(TOKEN_ENV.to_owned()) };
        Ok(Self { place, database, token_env, tls, named: true, ..self.clone() })
    }
}

/// Reads a store's URI; also gives the database that a server's may name behind its address, as Milvus' own client has
/// it. `token_env` is only for messages.
fn parse(text: &str, token_env: &str) -> Result<(Place, Option<String>), String> {
    if text == "embedded" {
        return Ok((Place::Embedded, None));
    }
    if let Some(rest) = text.strip_prefix("unix:") {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if !path.starts_with('/') || path.ends_with('/') {
            return Err("a socket is named by its absolute path; hint: unix:/run/milvus.sock".to_owned());
        }
        return Ok((Place::Server(format!("unix:{path}")), None));
    }
    // One letter is a drive, not a scheme.
    match text.split_once("://") {
        Some((scheme, rest))
            if scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            parse_address(&scheme.to_ascii_lowercase(), rest, text, token_env)
        }
        Some(_) | None => Ok((Place::Lite(parse_file(text)?), None)),
    }
}

fn parse_address(scheme: &str, rest: &str, text: &str, token_env: &str) -> Result<(Place, Option<String>), String> {
    let default_port = match scheme {
        "http" => MILVUS_PORT,
        "https" => HTTPS_PORT,
        _ => return Err(format!("a store's address does not begin with {scheme}://; hint: {FORMS}")),
    };
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::EmptyHost => no_host(scheme),
        url::ParseError::InvalidPort => "its port is not a number from 1 to 65535".to_owned(),
        error => format!("it is no address: {error}; hint: {FORMS}"),
    })?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!(
            "it must hold no user, password or query, since it is shown and kept; hint: put an API key or user:password into the environment variable {token_env}"
        ));
    }
    // `http:///x` is read as a host called x by the rules of browsers.
    let host =
        url.host_str().filter(|host| !host.is_empty() && !rest.starts_with('/')).ok_or_else(|| no_host(scheme))?;
    // A parsed URL leaves its scheme's own port out, which is no Milvus' for http.
    let written = rest.split('/').next().unwrap_or_default();
    let port = match url.port() {
        Some(0) => return Err("its port is not a number from 1 to 65535".to_owned()),
        Some(port) => port,
        None if scheme == "http" && written.ends_with(":80") => 80,
        None => default_port,
    };
    let database = match url.path().trim_matches('/') {
        "" => None,
        name if name.contains('/') => {
            return Err("behind the address there can be a database's name, nothing more".to_owned());
        }
        name => Some(name.to_owned()),
    };
    Ok((Place::Server(format!("{scheme}://{host}:{port}")), database))
}

fn no_host(scheme: &str) -> String {
    format!("it names no host; hint: {scheme}://HOST:{MILVUS_PORT}")
}

fn parse_file(text: &str) -> Result<PathBuf, String> {
    let plain = !text.contains(['/', '\\', '.']);
    if text.is_empty() {
        return Err(format!("it is empty; hint: {FORMS}"));
    }
    if let Some((host, port)) = text.split_once(':')
        && host.len() > 1
        && !host.contains(['/', '\\'])
        && (matches!(host, "http" | "https" | "tcp") || !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
    {
        let address = if matches!(host, "http" | "https" | "tcp") {
            "http://HOST:19530".to_owned()
        } else {
            format!("http://{text}")
        };
        return Err(format!(
            "an address begins with http:// or https://; hint: {address}, or ./{text} for a file of that name"
        ));
    }
    if plain && nearest(text, &["embedded", "milvus"]).is_some() {
        return Err(format!("{text:?} is no store; hint: {FORMS}"));
    }
    let file = std::path::absolute(text).map_err(|error| format!("it is no path: {error}"))?;
    if text.ends_with(['/', '\\']) || Path::new(&file).is_dir() {
        return Err(format!("{} is a folder; hint: name a file, such as ./milvus_demo.db", file.display()));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn store(toml: &str) -> Store {
        Config::parse(&format!("[store]\n{toml}"), "f").unwrap().store
    }

    #[test]
    fn a_uri_says_which_engine() {
        let here = |name: &str| Place::Lite(std::env::current_dir().unwrap().join(name));
        let server = |uri: &str| Place::Server(uri.to_owned());
        let cases = [
            ("embedded", Place::Embedded, None),
            ("./milvus_demo.db", here("milvus_demo.db"), None),
            ("demo", here("demo"), None),
            ("/tmp/x.db", Place::Lite(std::path::absolute("/tmp/x.db").unwrap()), None),
            ("http://localhost", server("http://localhost:19530"), None),
            ("HTTP://Milvus.Example:80/", server("http://milvus.example:80"), None),
            ("http://[::1]:19531/own", server("http://[::1]:19531"), Some("own")),
            ("https://in03.example", server("https://in03.example:443"), None),
            ("https://h:19530", server("https://h:19530"), None),
            ("unix:/run/m.sock", server("unix:/run/m.sock"), None),
            ("unix:///run/m.sock", server("unix:/run/m.sock"), None),
        ];
        for (uri, place, database) in cases {
            let store = store("").at(uri).unwrap();
            assert_eq!((store.place, store.database.as_deref()), (place, database), "{uri}");
        }
    }

    #[test]
    fn what_can_not_be_a_store_is_refused_with_a_hint_and_no_secret() {
        let cases = [
            ("ftp://h", "does not begin with ftp://"),
            ("tcp://h:19530", "http://localhost:19530"),
            ("http://", "names no host"),
            ("http://:19530", "names no host"),
            ("http:///x", "names no host"),
            ("http://h:99999", "port"),
            ("http://h:0", "port"),
            ("https://root:hunter2@h", "MILVUS_TOKEN"),
            ("https://h?token=hunter2", "MILVUS_TOKEN"),
            ("http://h/a/b", "nothing more"),
            ("localhost:19530", "http://localhost:19530"),
            ("http:localhost", "http://HOST"),
            ("unix:relative", "absolute"),
            ("embeded", "\"embedded\""),
            ("milvus", "http://localhost:19530"),
            (".", "is a folder"),
            ("", "is empty"),
        ];
        for (uri, expected) in cases {
            let message = store("").at(uri).unwrap_err();
            assert!(message.contains(expected) && !message.contains("hunter2"), "{uri}: {message}");
        }
    }

    #[test]
    fn errors_in_the_file_name_the_place() {
        let cases = [
            ("engine = \"milvs\"", "f:2:1: store.engine: no such engine: \"milvs\"; did you mean \"milvus\"?"),
            ("engine = \"embedded\"\nuri = \"x.db\"", "f:3:1: store.uri: the embedded store has none"),
            ("uri = \"ftp://h\"", "f:2:1: store.uri: "),
            (
                "uri = \"http://h\"\nca_certificate = \"a\"",
                "f:3:1: store.ca_certificate: it is for a uri that begins with https://",
            ),
            ("uri = \"a.db\"\ntls_server_name = \"a\"", "f:3:1: store.tls_server_name: "),
            ("uri = \"a.db\"\ndatabase = \"a\"", "f:3:1: store.database: only a server"),
            ("client_certificate = \"a\"", "f:2:1: store.client_certificate: it needs its `client_key`"),
            ("client_key = \"a\"", "f:2:1: store.client_key: it needs"),
            ("connect_timeout_s = 0", "f:2:1: store.connect_timeout_s: 0 seconds"),
            ("token_env = \"root:hunter2\"", "f:2:1: store.token_env: it must be a variable's name"),
            (
                "token = \"hunter2\"",
                "f:2:1: unknown key `token`: keys don't belong into a file; set it as an environment variable and name that variable with `token_env`",
            ),
            ("password = \"hunter2\"", "`token_env`"),
            ("urii = \"x.db\"", "did you mean `uri`?"),
        ];
        for (toml, expected) in cases {
            let error = Config::parse(&format!("[store]\n{toml}\n"), "f").unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{toml}\n gave {error}");
        }
    }

    #[test]
    fn what_was_written_for_one_server_is_not_for_another() {
        let written =
            store("uri = \"https://a\"\ndatabase = \"d\"\ntoken_env = \"A_TOKEN\"\nca_certificate = \"ca.pem\"");
        let same = written.at("https://a:443").unwrap();
        assert_eq!((&same.database, &same.token_env, &same.tls), (&written.database, &written.token_env, &written.tls));
        let other = written.at("https://b").unwrap();
        assert_eq!((other.database, other.token_env.as_deref(), other.tls), (None, Some(TOKEN_ENV), Tls::default()));
        // Without a uri beside them they are for whatever is named, as far as they fit it.
        let free = store("database = \"d\"\ntoken_env = \"A_TOKEN\"\nca_certificate = \"ca.pem\"");
        let tls = free.at("https://b").unwrap();
        assert_eq!(
            (tls.database.as_deref(), tls.token_env.as_deref(), tls.tls == free.tls),
            (Some("d"), Some("A_TOKEN"), true)
        );
        let lite = free.at("x.db").unwrap();
        assert_eq!((lite.database, lite.tls), (None, Tls::default()));
        assert_eq!(store("engine = \"milvus\"").place, Place::Server("http://localhost:19530".into()));
    }
}
