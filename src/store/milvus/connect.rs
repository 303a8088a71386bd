//! The connection: made when it is first needed, with limits on everything, and a Milvus Lite of our own behind it where
//! the endpoint is a file.

use std::{path::PathBuf, time::Duration};

use milvus::{
    client::ClientBuilder,
    v2::prelude::{ClientV2, ConnectConfig, Error, RetryConfig, TelemetryConfig},
};
use tokio::{sync::Mutex, time::sleep};

use super::{
    MilvusEndpoint, MilvusOptions,
    diagnose::{Address, Code, Diagnosis, Endpoint, diagnose, explain},
    lite::LiteServer,
};
use crate::store::StoreError;

/// The version of Milvus Lite that is run.
pub const LITE_VERSION: &str = "2.5.1";
/// How often a call is tried that the server says may be tried again (the client's default is 75 times).
const ATTEMPTS: u32 = 3;

/// A connection that takes longer than this is looked into.
const QUICK: Duration = Duration::from_millis(300);
/// How often, and how many times, to look whether a Milvus Lite that does not answer has ended.
const ENDING_POLL: Duration = Duration::from_millis(10);
const ENDING_POLLS: u32 = 50;

pub struct Connection {
    options: MilvusOptions,
    live: Mutex<Option<Live>>,
}

struct Live {
    client: ClientV2,
    lite: Option<LiteServer>,
}

impl Connection {
    pub fn new(options: MilvusOptions) -> Self {
        Self { options, live: Mutex::new(None) }
    }

    pub fn is_lite(&self) -> bool {
        matches!(self.options.endpoint, MilvusEndpoint::Lite { .. })
    }

    /// For people, without secrets.
    pub fn place(&self) -> String {
        let database = self.options.database.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        match &self.options.endpoint {
            MilvusEndpoint::Lite { file, .. } => format!("Milvus Lite {}", file.display()),
            MilvusEndpoint::Server { uri } => format!("Milvus {uri}{database}"),
        }
    }

    /// The client, connected. Starts Milvus Lite when it is not running (any more).
    pub async fn client(&self) -> Result<ClientV2, StoreError> {
        let mut live = self.live.lock().await;
        if let Some(Live { client, lite, .. }) = live.as_ref()
            && lite.as_ref().is_none_or(|lite| lite.ended().is_none())
        {
            return Ok(client.clone());
        }
        *live = None;
        let connected = match &self.options.endpoint {
            MilvusEndpoint::Server { uri } => Live { client: self.connect(uri).await?, lite: None },
            MilvusEndpoint::Lite { file, program } => {
                let program = program().await.map_err(|reason| self.unreachable(reason))?;
                let lite = LiteServer::start(file, &program, self.options.connect_timeout)
                    .await
                    .map_err(|error| self.unreachable(error.to_string()))?;
                let client = self.connect(&lite.uri()).await?;
                Live { client, lite: Some(lite) }
            }
        };
        Ok(live.insert(connected).client.clone())
    }

    /// The names of the collections of a Milvus Lite, ours or served by somebody: it gives them without their numbers,
    /// which the newer client refuses to read. The older one takes no token and no certificates; Lite wants none.
    pub async fn lite_names(&self) -> Result<Vec<String>, String> {
        let uri = match self.live.lock().await.as_ref().map(|live| (&live.lite, &self.options.endpoint)) {
            Some((Some(lite), _)) => lite.uri(),
            Some((None, MilvusEndpoint::Server { uri })) if !uri.starts_with("https:") => uri.clone(),
            Some((None, _)) | None => return Err("it names its collections in a way that is not known".to_owned()),
        };
        let failed = |error: milvus::error::Error| crate::text::one_line(&error.to_string());
        let client = ClientBuilder::new(uri).timeout(self.options.call_timeout).build().await.map_err(failed)?;
        client.list_collections().await.map_err(failed)
    }

    /// Whether the Milvus Lite behind it has ended by itself. Its connections break a moment before its process is gone.
    pub async fn lite_has_ended(&self) -> bool {
        for _ in 0..ENDING_POLLS {
            match self.live.lock().await.as_ref().map(|live| live.lite.as_ref().map(LiteServer::ended)) {
                Some(Some(None)) => {}
                Some(Some(Some(_))) => return true,
                Some(None) => return false,
                // Another task is connecting anew already.
                None => return self.is_lite(),
            }
            sleep(ENDING_POLL).await;
        }
        false
    }

    async fn connect(&self, uri: &str) -> Result<ClientV2, StoreError> {
        let MilvusOptions { token, database, connect_timeout, call_timeout, .. } = &self.options;
        let mut config = ConnectConfig::new()
            .uri(uri)
            .connect_timeout(*connect_timeout)
            // Without one a call waits for ever.
            .rpc_timeout(*call_timeout)
            .retry(RetryConfig::new().max_attempts(ATTEMPTS).max_retry_timeout(*call_timeout))
            // It would send what we do to the server every ten seconds, and a wake-up costs an idle program something.
            .telemetry(TelemetryConfig::new().enabled(false))
            .keepalive_while_idle(false);
        if let Some(token) = token {
            config = config.token(token.expose());
        }
        if let Some(database) = database {
            config = config.database(database);
        }
        if uri.starts_with("https:") {
            let text = |path: &PathBuf| path.to_string_lossy().into_owned();
            if let Some(path) = &self.options.ca_certificate {
                config = config.ca_certificate(text(path));
            }
            if let (Some(certificate), Some(key)) = (&self.options.client_certificate, &self.options.client_key) {
                config = config.client_certificate(text(certificate)).client_key(text(key));
            }
            if let Some(name) = &self.options.tls_server_name {
                config = config.tls_server_name(name);
            }
        }
        self.watched(uri, ClientV2::new(&config)).await.map_err(|reason| self.unreachable(reason))
    }

    /// Connects, and looks what is in the way when that takes long: the client tries again until its time is up, whatever
    /// the reason, and then says only that.
    async fn watched(
        &self,
        uri: &str,
        connecting: impl Future<Output = Result<ClientV2, Error>>,
    ) -> Result<ClientV2, String> {
        let Some(address) = Address::parse(uri) else { return connecting.await.map_err(|error| self.reason(&error)) };
        let endpoint = Endpoint {
            address,
            ca_certificate: self.options.ca_certificate.clone(),
            client_certificate: self.options.client_certificate.clone(),
            client_key: self.options.client_key.clone(),
            tls_server_name: self.options.tls_server_name.clone(),
        };
        let limit = self.options.connect_timeout.saturating_sub(2 * QUICK);
        let looking = async {
            sleep(QUICK).await;
            diagnose(&endpoint, limit).await
        };
        let mut found = None;
        tokio::pin!(connecting, looking);
        loop {
            tokio::select! {
                connected = &mut connecting => {
                    let error = match connected {
                        Ok(client) => return Ok(client),
                        Err(error) => error,
                    };
                    let said_why = match &error {
                        Error::Grpc(status) => explain(Code::Grpc(status.code() as i32), status.message()).is_some(),
                        Error::Timeout(_) => false,
                        _ => true,
                    };
                    return Err(match found {
                        _ if said_why => self.reason(&error),
                        Some(found) => Diagnosis::to_string(&found),
                        None if matches!(error, Error::Timeout(_)) => {
                            format!("no answer within {:?}", self.options.connect_timeout)
                        }
                        None => diagnose(&endpoint, limit).await.to_string(),
                    });
                }
                diagnosis = &mut looking, if found.is_none() => {
                    if !diagnosis.may_pass() {
                        return Err(diagnosis.to_string());
                    }
                    found = Some(diagnosis);
                }
            }
        }
    }

    fn unreachable(&self, reason: String) -> StoreError {
        StoreError::Unreachable { store: self.place(), reason }
    }

    /// An error in words, without the token that a server may repeat.
    pub fn reason(&self, error: &Error) -> String {
        let (code, text) = match error {
            Error::RetryExhausted { source, .. } => return self.reason(source),
            Error::Server(server) => (Some(Code::Milvus(server.code())), server.reason().to_owned()),
            Error::Grpc(status) => (Some(Code::Grpc(status.code() as i32)), status.message().to_owned()),
            Error::Timeout(_) => (None, format!("no answer within {:?}", self.options.call_timeout)),
            other => (None, other.to_string()),
        };
        let refusal = code.and_then(|code| explain(code, &text)).map(|refusal| refusal.to_string());
        let text = refusal.unwrap_or_else(|| crate::text::one_line(&text));
        self.options.token.as_ref().map_or_else(|| text.clone(), |token| token.redact(&text))
    }
}
