use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A server on loopback; gives its address.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => request.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap();
    let zip = archives::zip(&[("en/faq/a.md", b"# A"), ("en/b.md", b"# B")]);
    let with = |kind: &str, body: &[u8]| {
        [format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body]
            .concat()
    };
    let response = match path.split('?').next().unwrap() {
        "/docs/my%20guide.md" => with("text/markdown; charset=utf-8", b"# Guide"),
        "/raw" => with("text/plain", b"plain"),
        "/docs.zip" => with("application/octet-stream", &zip),
        "/zipball" => with("application/zip", &zip),
        "/unnamed" => with("application/octet-stream", &zip),
        "/page" => with("text/html; charset=utf-8", b"<p>hello"),
        "/doctype.md" => with("text/plain", b"\n<!DOCTYPE html><p>hello"),
        "/there" => b"HTTP/1.1 302 Found\r\nlocation: /docs.zip\r\ncontent-length: 0\r\n\r\n".to_vec(),
        "/round" => b"HTTP/1.1 302 Found\r\nlocation: /round\r\ncontent-length: 0\r\n\r\n".to_vec(),
        "/away" => {
            let to = path.split_once('?').unwrap().1;
            format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
        }
        "/missing.md" => b"HTTP/1.1 404 Not Found\r\n\r\nno such\x1b[31m page,\n try  home".to_vec(),
        "/declared" => b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n".to_vec(),
        "/endless" => {
            let mut body = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
            body.resize(60_000, b'x');
            body
        }
        "/short.md" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this".to_vec(),
        "/stall.md" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthen nothing").await.unwrap();
            return std::future::pending().await;
        }
        other => panic!("{other}"),
    };
    // The client may have hung up.
    let _ = stream.write_all(&response).await;
}

#[tokio::test]
async fn documents_and_archives_come_over_http() {
    let server = serve().await;
    for (path, globs, names) in [
        ("/docs/my%20guide.md?key=hunter2", &[][..], &["my guide.md"][..]),
        ("/raw", &[], &["raw"]),
        ("/docs.zip", &["en/faq/*.md"], &["en/faq/a.md"]),
        ("/zipball?ref=main", &[], &["en/b.md", "en/faq/a.md"]),
        ("/unnamed", &[], &["en/b.md", "en/faq/a.md"]),
        ("/there", &[], &["en/b.md", "en/faq/a.md"]),
    ] {
        let globs = globs.iter().map(|glob| (*glob).to_owned()).collect();
        let spec = check(&format!("{server}{path}"), globs, Chunker::Markdown).unwrap();
        let progress = Progress::default();
        let scan = scan(&spec, &progress, &CancellationToken::new()).await.unwrap();
        let place = format!("{server}{}", path.split('?').next().unwrap());
        assert!(scan.entries.iter().all(|entry| entry.location.starts_with(&place) && !entry.location.contains('?')));
        assert_eq!(Seen::of(scan).names(), names, "{path}");
        let bytes = progress.snapshot();
        assert!(bytes.bytes_done > 0 && bytes.bytes_done == bytes.bytes_total, "{path}: {bytes:?}");
    }
}

#[tokio::test]
async fn where_a_url_redirects_to_does_not_learn_its_query() {
    let server = serve().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("http://{}/raw", elsewhere.local_addr().unwrap());
    let heard = async {
        let mut stream = elsewhere.accept().await.unwrap().0;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nplain")
            .await
            .unwrap();
        String::from_utf8(head).unwrap().to_lowercase()
    };
    let location = format!("{server}/away?{to}?key=hunter2");
    let (head, seen) = tokio::join!(heard, see(&location, &[], small()));
    assert!(head.starts_with("get /raw"), "{head}");
    assert!(!head.contains("referer"), "{head}");
    assert_eq!(seen.unwrap().names(), ["away"]);
}

#[tokio::test]
async fn a_failed_download_says_what_happened_and_no_secret() {
    let server = serve().await;
    // Only who says nothing at all is waited for in vain; the others may take their time on a busy machine.
    let limits = small();
    let hasty = Limits { stall: Duration::from_millis(50), ..small() };
    for (path, words) in [
        ("/missing.md", "/missing.md answered 404 Not Found: no such[31m page, try home"),
        ("/page", "is a web page"),
        ("/doctype.md", "is a web page"),
        ("/round", "too many redirects"),
        ("/declared", "too large"),
        ("/endless", "too large"),
        ("/short.md", "can't be downloaded"),
        ("/stall.md", "sent nothing for"),
    ] {
        let limits = if path == "/stall.md" { hasty } else { limits };
        let message = failure(see(&format!("{server}{path}?key=hunter2"), &[], limits).await);
        assert!(message.contains(words), "{path}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let message = failure(see(&format!("http://{nobody}/x.md?key=hunter2"), &[], limits).await);
    assert!(message.contains("refused") && !message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn a_download_can_be_cancelled() {
    let server = serve().await;
    let spec = check(&format!("{server}/stall.md"), Vec::new(), Chunker::Markdown).unwrap();
    let (progress, cancel) = (Progress::default(), CancellationToken::new());
    let scanning = scan(&spec, &progress, &cancel);
    let cancelling = async {
        while progress.snapshot().bytes_done == 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(scanning, cancelling);
    assert!(matches!(result, Err(SourceError::Cancelled)), "{result:?}");
}
