use std::{
    io::{Seek, SeekFrom, Write},
    time::Duration,
};

use reqwest::{Response, header::CONTENT_TYPE, redirect::Policy};
use tempfile::SpooledTempFile;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    Limits,
    error::{SourceError, io_reason, mib},
    place::shown,
};
use crate::{
    domain::Progress,
    http,
    text::{fit, one_line},
};

/// Up to here a download stays in memory, beyond in an unnamed temporary file.
const IN_MEMORY_BYTES: usize = 8 << 20;
const MAX_REDIRECTS: usize = 5;

/// A body that was downloaded whole; its reader is at the start.
pub(super) struct Download {
    pub(super) body: SpooledTempFile,
    pub(super) size: u64,
    /// Lower case, without parameters.
    pub(super) content_type: Option<String>,
}

/// Downloads a URL, counting bytes in `progress`.
pub(super) async fn fetch(
    url: &Url,
    limits: &Limits,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Download, SourceError> {
    cancel.run_until_cancelled(download(url, limits, progress)).await.unwrap_or(Err(SourceError::Cancelled))
}

async fn download(url: &Url, limits: &Limits, progress: &Progress) -> Result<Download, SourceError> {
    let place = shown(url);
    // The library's errors name the URL with its query, which may hold a key.
    let failed = |error: reqwest::Error| SourceError::Fetch {
        url: place.clone(),
        reason: one_line(&http::reason(&error.without_url())),
    };
    let stalled = |_| SourceError::Stalled { url: place.clone(), seconds: limits.stall.as_secs() };
    let too_large = || {
        let what = format!("more than {}", mib(limits.download));
        SourceError::TooLarge { place: place.clone(), what }
    };

    let client = http::client().redirect(Policy::limited(MAX_REDIRECTS)).build().map_err(failed)?;
    progress.start_bytes(0);
    let mut response = timeout(limits.stall, client.get(url.clone()).send()).await.map_err(stalled)?.map_err(failed)?;
    if !response.status().is_success() {
        let status = response.status().to_string();
        return Err(SourceError::Status { url: place, status, body: first_words(response, limits.stall).await });
    }
    let declared = response.content_length().unwrap_or(0);
    if declared > limits.download {
        return Err(too_large());
    }
    progress.start_bytes(declared);
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());

    let unwritable = |error: std::io::Error| SourceError::Fetch {
        url: place.clone(),
        reason: format!("the temporary folder can't be written: {}", io_reason(&error)),
    };
    let mut body = SpooledTempFile::new(IN_MEMORY_BYTES);
    let mut size = 0;
    while let Some(bytes) = timeout(limits.stall, response.chunk()).await.map_err(stalled)?.map_err(failed)? {
        size += bytes.len() as u64;
        if size > limits.download {
            return Err(too_large());
        }
        body.write_all(&bytes).map_err(unwritable)?;
        progress.set_bytes(size);
    }
    body.seek(SeekFrom::Start(0)).map_err(unwritable)?;
    Ok(Download { body, size, content_type })
}

/// The beginning of an error's body on one line, safe to show; empty when there is none in time.
async fn first_words(mut response: Response, patience: Duration) -> String {
    let mut bytes = Vec::new();
    let gather = async {
        while let Ok(Some(more)) = response.chunk().await {
            bytes.extend_from_slice(&more);
            if bytes.len() >= 4096 {
                break;
            }
        }
    };
    // What came before the time was up is shown as well.
    let _ = timeout(patience, gather).await;
    fit(&one_line(&String::from_utf8_lossy(&bytes)), 200)
}
