//! Downloading from the model hub, or from any server that speaks its way: `GET ENDPOINT/REPOSITORY/resolve/main/FILE`.
//!
//! Redirects are followed here rather than by the client, because the first answer carries the file's sha256
//! (`X-Linked-ETag`) and because the token must not follow.

use std::{fs, path::Path, time::Duration};

use futures_util::StreamExt;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_RANGE, ETAG, HeaderMap, LOCATION, RANGE},
    redirect,
};
use tokio::{
    fs::File,
    io::AsyncWriteExt,
    time::{error::Elapsed, timeout},
};
use url::Url;

use super::{
    ArtifactError, Artifacts,
    bundle::{Fault, Job, Wanted, local},
};
use crate::{domain::Secret, http};

const MAX_REDIRECTS: usize = 8;
/// How often a broken connection is taken up again while each one brings something.
const MAX_RESUMES: usize = 20;

/// `scheme://host:port` of an address, without whatever secrets it may hold.
pub fn origin(endpoint: &str) -> String {
    Url::parse(endpoint).map_or_else(|_| "not an address".to_owned(), |url| url.origin().ascii_serialization())
}

/// Gets the wanted files of a repository.
pub async fn get(job: &mut Job<'_>, artifacts: &Artifacts, repository: &str, wanted: &[Wanted]) -> Result<(), Fault> {
    let endpoint = Url::parse(&artifacts.hub_endpoint)
        .map_err(|e| Fault::Source(format!("HF_ENDPOINT is not an address: {e}")))?;
    let client = http::client().redirect(redirect::Policy::none()).build();
    let client = client.map_err(|e| Fault::Source(http::reason(&e)))?;
    let hub = Hub { client, endpoint, token: artifacts.hub_token.as_ref(), patience: artifacts.patience };
    let cancel = job.cancel.clone();
    let all = async {
        for wanted in wanted {
            hub.file(job, repository, wanted).await?;
        }
        Ok(())
    };
    tokio::select! {
        () = cancel.cancelled() => Err(ArtifactError::Cancelled.into()),
        result = all => result,
    }
}

struct Hub<'a> {
    client: reqwest::Client,
    endpoint: Url,
    /// Goes to the endpoint's own origin and nowhere else.
    token: Option<&'a Secret>,
    /// How long to wait for the next bytes.
    patience: Duration,
}

/// An answer with the file's bytes, after all redirects.
struct Opened {
    response: Response,
    /// The sha256 that the hub says the file has.
    declared: Option<String>,
}

/// How far a connection got.
enum Streamed {
    Whole,
    Broken { reason: String, received: u64 },
}

impl Hub<'_> {
    async fn file(&self, job: &mut Job<'_>, repository: &str, wanted: &Wanted) -> Result<(), Fault> {
        let name = &wanted.name;
        let part = job.part(name)?;
        job.progress.set_current(&format!("{}: {name}", job.bundle.what));
        let mut resumes = 0;
        let mut fresh = false;
        loop {
            let have = match std::mem::take(&mut fresh) {
                true => 0,
                false => fs::metadata(&part).map_or(0, |metadata| metadata.len()),
            };
            let Opened { response, declared } = self.open(repository, name, have).await?;
            let status = response.status();
            if status == StatusCode::NOT_FOUND && wanted.optional {
                job.manifest.set_absent(name);
                return Ok(());
            }
            if status == StatusCode::RANGE_NOT_SATISFIABLE && have > 0 {
                fresh = true;
                continue;
            }
            if !status.is_success() {
                return Err(Fault::Source(format!("{name}: {}", refusal(status))));
            }
            let expected = job.expected(wanted);
            if let (Some(expected), Some(declared)) = (&expected, &declared)
                && expected != declared
            {
                return Err(Fault::Source(format!(
                    "it has another {name} now: sha256 {declared} where {expected} was expected"
                )));
            }
            let expected = expected.or(declared);
            // Bytes may be put behind those of an earlier connection only where a hash tells whether they fit.
            let resumed = have > 0 && status == StatusCode::PARTIAL_CONTENT && starts_at(response.headers(), have);
            if status == StatusCode::PARTIAL_CONTENT && (!resumed || expected.is_none()) {
                if have == 0 {
                    return Err(Fault::Source(format!("{name}: it sent a part where the whole was asked for")));
                }
                fresh = true;
                continue;
            }
            let start = if resumed { have } else { 0 };
            match self.stream(job, response, &part, start).await? {
                Streamed::Broken { reason, received } if received == 0 || resumes == MAX_RESUMES => {
                    return Err(Fault::Source(format!("{name}: {reason}")));
                }
                Streamed::Broken { .. } => {
                    resumes += 1;
                    fresh = expected.is_none();
                }
                Streamed::Whole => match job.adopt(name, &part, expected.as_deref()).await {
                    // What an earlier run left may have been the fault.
                    Err(Fault::Source(_)) if resumed => fresh = true,
                    result => return result,
                },
            }
        }
    }

    /// Asks for a file from byte `from` on and follows redirects.
    async fn open(&self, repository: &str, name: &str, from: u64) -> Result<Opened, Fault> {
        let base = self.endpoint.as_str().trim_end_matches('/');
        let mut url = Url::parse(&format!("{base}/{repository}/resolve/main/{name}"))
            .map_err(|e| Fault::Source(format!("HF_ENDPOINT does not make an address: {e}")))?;
        let mut declared = None;
        for _ in 0..MAX_REDIRECTS {
            let home = url.origin() == self.endpoint.origin();
            let mut request = self.client.get(url.clone());
            if let Some(token) = self.token.filter(|_| home && may_see_token(&url)) {
                request = request.bearer_auth(token.expose());
            }
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let response = timeout(self.patience, request.send()).await.map_err(|e| self.silence(&e))?;
            let response = response.map_err(|e| Fault::Source(http::reason(&e.without_url())))?;
            if home {
                declared = declared.or_else(|| declared_sha256(response.headers()));
            }
            if !response.status().is_redirection() {
                return Ok(Opened { response, declared });
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| Fault::Source(format!("{name}: a redirect to nowhere")))?;
            if next.scheme() != "https" && next.scheme() != url.scheme() {
                return Err(Fault::Source(format!("{name}: a redirect from https to {}", next.scheme())));
            }
            url = next;
        }
        Err(Fault::Source(format!("{name}: more than {MAX_REDIRECTS} redirects")))
    }

    /// Writes an answer's bytes behind the first `start` bytes of `part`.
    async fn stream(&self, job: &Job<'_>, response: Response, part: &Path, start: u64) -> Result<Streamed, Fault> {
        job.progress.start_bytes(response.content_length().map_or(0, |length| start + length));
        job.progress.set_bytes(start);
        let file = File::options().create(true).truncate(start == 0).append(start > 0).write(true).open(part).await;
        let mut file = file.map_err(local("write", part))?;
        let mut received = 0;
        let mut body = response.bytes_stream();
        let end = loop {
            match timeout(self.patience, body.next()).await {
                Err(elapsed) => break Err(self.silence(&elapsed)),
                Ok(None) => break Ok(Streamed::Whole),
                Ok(Some(Err(error))) => {
                    let reason = http::reason(&error.without_url());
                    break Ok(Streamed::Broken { reason, received });
                }
                Ok(Some(Ok(bytes))) => {
                    file.write_all(&bytes).await.map_err(local("write", part))?;
                    received += bytes.len() as u64;
                    job.progress.set_bytes(start + received);
                }
            }
        };
        file.flush().await.map_err(local("write", part))?;
        end
    }

    fn silence(&self, _: &Elapsed) -> Fault {
        Fault::Source(format!("no bytes for {} s", self.patience.as_secs_f32()))
    }
}

/// The sha256 in an answer's headers: large files carry it as (linked) ETag, small ones carry something shorter.
fn declared_sha256(headers: &HeaderMap) -> Option<String> {
    [headers.get("x-linked-etag"), headers.get(ETAG)].into_iter().flatten().find_map(|value| {
        let tag = value.to_str().ok()?.trim_start_matches("W/").trim_matches('"');
        (tag.len() == 64 && tag.bytes().all(|b| b.is_ascii_hexdigit())).then(|| tag.to_ascii_lowercase())
    })
}

/// Whether `Content-Range: bytes START-END/TOTAL` starts where it was asked to.
fn starts_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range
        .and_then(|range| range.strip_prefix("bytes ")?.split_once('-'))
        .is_some_and(|(start, _)| start.parse() == Ok(from))
}

/// Whether a token may be sent there without anybody in between reading it: https, or this same machine.
pub fn may_see_token(url: &Url) -> bool {
    !http::is_in_the_open(url)
}

fn refusal(status: StatusCode) -> String {
    let advice = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => " (it may want a token in HF_TOKEN)",
        _ => "",
    };
    format!("the server said {status}{advice}")
}
