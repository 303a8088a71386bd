//! The real Milvus Lite as a child process: alone over its file, ended with us however we end, leaving nothing behind.

#![cfg(target_os = "linux")] // Looks at processes in /proc.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic")]

mod common;

use std::{
    env,
    fs::{self, File, Permissions},
    io::{BufRead, BufReader, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use askdocs::store::{LiteError, LiteServer};
use common::lite;
use milvus::v2::prelude::{ClientV2, ConnectConfig, CreateSimpleCollectionRequest, HasCollectionRequest};
use rustix::process::{Pid, Signal, getpgid, kill_process};
use tempfile::TempDir;
use tokio::task::yield_now;

const READY: Duration = Duration::from_secs(20);
/// Tells a test that runs in a process of its own where to work.
const FOLDER: &str = "ASKDOCS_TEST_FOLDER";

async fn start(file: &Path) -> Result<LiteServer, LiteError> {
    LiteServer::start(file, &lite::program().await, READY).await
}

async fn client(server: &LiteServer) -> ClientV2 {
    ClientV2::new(&ConnectConfig::new().uri(server.uri())).await.unwrap()
}

async fn has_collection(server: &LiteServer, name: &str) -> bool {
    let request = HasCollectionRequest::builder().collection_name(name).build().unwrap();
    client(server).await.has_collection(request).await.unwrap().exists()
}

fn socket(server: &LiteServer) -> PathBuf {
    PathBuf::from(server.uri().strip_prefix("unix:").unwrap())
}

/// Every process that was told of this file: the server and those who watch over it.
fn processes(file: &Path) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_told = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.split(|&byte| byte == 0).any(|argument| argument == file.as_os_str().as_bytes())
    };
    pids.filter(is_told).collect()
}

/// The one server over this file.
fn server_process(file: &Path) -> i32 {
    let is_server = |pid: &i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("milvus"));
    let servers: Vec<i32> = processes(file).into_iter().filter(is_server).collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
    servers[0]
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            yield_now().await;
        }
    };
    assert!(tokio::time::timeout(READY, waiting).await.is_ok(), "not within {READY:?}: {what}");
}

fn names_in(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn one_server_over_a_file_and_nothing_of_it_is_left() {
    let home = TempDir::new().unwrap();
    // Whatever its name and whichever way one comes to it.
    let name = std::ffi::OsStr::from_bytes(b"it's a \"d\xc3\xbc\xff b\" $HOME.db");
    let (file, link) = (home.path().join(name), home.path().join("link.db"));
    symlink(&file, &link).unwrap();
    let server = start(&file).await.unwrap();
    assert!(!has_collection(&server, "nothing").await);
    let folder = socket(&server).parent().unwrap().to_owned();
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);

    // It writes to its own file and folder only, and hears nothing of what a terminal sends.
    let pid = server_process(&file);
    assert_ne!(getpgid(Pid::from_raw(pid)).unwrap(), getpgid(None).unwrap());
    let process = format!("/proc/{pid}");
    let environment = fs::read_to_string(format!("{process}/environ")).unwrap();
    for name in ["HOME", "TMPDIR"] {
        assert!(environment.split('\0').any(|entry| entry == format!("{name}={}", folder.display())), "{environment}");
    }
    let lock = file.with_file_name(std::ffi::OsStr::from_bytes(&[b".", name.as_bytes(), b".lock"].concat()));
    for open in fs::read_dir(format!("{process}/fd")).unwrap() {
        let open = fs::read_link(open.unwrap().path()).unwrap();
        let known = [file.as_path(), &lock, Path::new("/dev/null")].contains(&open.as_path());
        assert!(known || !open.is_absolute(), "{} is open", open.display());
    }
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        assert!(ignored & 1 << (signal.as_raw() - 1) != 0, "{signal:?}");
    }

    // Patience is not needed here.
    tokio::time::pause();
    for path in [&file, &link] {
        let refused = start(path).await.unwrap_err();
        assert!(matches!(&refused, LiteError::InUse { holder, .. } if holder == "this askdocs"), "{refused}");
    }
    tokio::time::resume();
    assert!(!has_collection(&server, "nothing").await, "the one refused left it in peace");
    assert_eq!(server.ended(), None);

    drop(server);
    until("processes end", || processes(&file).is_empty()).await;
    assert!(!folder.exists());
    let server = start(&link).await.unwrap();
    let folder = socket(&server).parent().unwrap().to_owned();
    server.stop().await;
    assert_eq!((processes(&file), folder.exists()), (Vec::new(), false));
    let mut left = names_in(home.path());
    left.sort();
    assert_eq!(left, [name.to_string_lossy().as_ref(), "link.db"]);
}

#[tokio::test]
async fn a_server_that_dies_is_noticed_and_another_takes_over() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("faq.db");
    for round in 0..3 {
        let server = start(&file).await.unwrap();
        assert_eq!(has_collection(&server, "faq").await, round > 0);
        if round == 0 {
            let request = CreateSimpleCollectionRequest::builder().collection_name("faq").dimension(4_u32).build();
            client(&server).await.create_collection(request.unwrap()).await.unwrap();
        }
        kill(server_process(&file));
        until("the end is noticed", || server.ended().is_some()).await;
        assert_eq!(server.ended().unwrap().split(';').next(), Some("killed by signal 9"));
        assert!(!socket(&server).exists());
        // The dead one is still in our hands.
        let next = start(&file).await.unwrap();
        drop(server);
        assert!(has_collection(&next, "faq").await);
        next.stop().await;
    }
}

/// Also when it is the shell between that is killed, the server does not outlive its owner.
#[tokio::test]
async fn a_server_whose_shell_dies_still_ends_with_us() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("faq.db");
    let server = start(&file).await.unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", server_process(&file))).unwrap();
    kill(stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap());
    until("the end is noticed", || server.ended().is_some()).await;
    server.stop().await;
    start(&file).await.unwrap().stop().await;
    assert!(processes(&file).is_empty());
}

/// This test program again, with one test that is ignored otherwise, in `folder`.
fn in_own_process(test: &str, folder: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env(FOLDER, folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn own_folder() -> PathBuf {
    PathBuf::from(env::var_os(FOLDER).expect("run by another test only"))
}

/// What follows in the first line that starts so. Waits for it.
fn said(child: &mut Child, start: &str) -> String {
    let lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    lines.map(Result::unwrap).find_map(|line| Some(line.strip_prefix(start)?.trim().to_owned())).unwrap()
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn serve_until_killed() {
    let server = start(&own_folder().join("faq.db")).await.unwrap();
    eprintln!("uri {}", server.uri());
    std::future::pending().await
}

#[tokio::test]
async fn a_killed_owner_takes_its_server_along() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("faq.db");
    for _ in 0..4 {
        let mut owner = in_own_process("serve_until_killed", home.path());
        let socket = PathBuf::from(said(&mut owner, "uri unix:"));
        let mut connection = UnixStream::connect(&socket).unwrap();
        let old = server_process(&file);

        tokio::time::pause();
        let refused = start(&file).await.unwrap_err().to_string();
        tokio::time::resume();
        assert!(refused.contains(&format!("another askdocs (process {})", owner.id())), "{refused}");

        owner.kill().unwrap();
        // At once, without waiting for the old server to end.
        let server = start(&file).await.unwrap();
        assert!(!processes(&file).contains(&old), "two over one file");
        assert!(!socket.exists());
        // Until the last who had it open is gone.
        let _ = connection.read_to_end(&mut Vec::new());
        owner.wait().unwrap();
        assert!(!has_collection(&server, "nothing").await);
        server.stop().await;
    }
    assert_eq!(names_in(home.path()), ["faq.db"]);
}

#[test]
#[ignore = "runs in a process of its own"]
fn lock_as_pymilvus_does() {
    use nix::{
        fcntl::{FcntlArg, fcntl},
        libc,
    };
    let lock = File::create(own_folder().join(".faq.db.lock")).unwrap();
    let (l_type, l_whence) = (libc::F_WRLCK as i16, libc::SEEK_SET as i16);
    let whole = libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 };
    match fcntl(&lock, FcntlArg::F_SETLK(&whole)) {
        Ok(_) => eprintln!("locked"),
        Err(error) => eprintln!("refused {error}"),
    }
    std::thread::park();
}

#[tokio::test]
async fn pymilvus_and_we_keep_each_other_out() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("faq.db");
    let mut pymilvus = in_own_process("lock_as_pymilvus_does", home.path());
    assert_eq!(said(&mut pymilvus, "locked"), "");
    tokio::time::pause();
    let refused = start(&file).await.unwrap_err().to_string();
    tokio::time::resume();
    assert!(refused.contains(&format!("in use by another program (process {})", pymilvus.id())), "{refused}");
    assert_eq!(names_in(home.path()), [".faq.db.lock"]);
    pymilvus.kill().unwrap();
    pymilvus.wait().unwrap();

    let server = start(&file).await.unwrap();
    let mut pymilvus = in_own_process("lock_as_pymilvus_does", home.path());
    said(&mut pymilvus, "refused");
    pymilvus.kill().unwrap();
    pymilvus.wait().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn what_can_not_be_a_database_is_refused_in_words() {
    let home = TempDir::new().unwrap();
    let path = |name: &str| home.path().join(name);
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("text"), "no database, but long enough to be told from one ".repeat(9)).unwrap();
    symlink("nowhere", path("dangling")).unwrap();
    fs::create_dir(path(".locked.db.lock")).unwrap();
    let before = names_in(home.path());
    for (name, said) in [
        ("no/faq.db", "there is no folder"),
        ("text/faq.db", "there is no folder"),
        ("folder", "is a folder, not a Milvus Lite 2 file"),
        ("dangling", "is a link that leads nowhere"),
        ("locked.db", "Is a directory"),
        ("text", "file is not a database; Init milvus failed"),
    ] {
        let error = start(&path(name)).await.unwrap_err().to_string();
        let parts = [said, name, home.path().to_str().unwrap(), "; hint: "];
        assert!(parts.iter().all(|part| error.contains(part)), "{name}: {error}");
    }
    assert_eq!(names_in(home.path()), before);
}

#[tokio::test]
async fn a_program_that_does_not_serve_is_told_of_in_its_own_words() {
    let home = TempDir::new().unwrap();
    let (file, program) = (home.path().join("faq.db"), home.path().join("program"));
    fs::create_dir(&program).unwrap();
    let absent = LiteServer::start(&file, &program, READY).await.unwrap_err();
    assert!(
        matches!(&absent, LiteError::NotRunnable { reason, .. } if reason.contains("program/milvus: ")),
        "{absent}"
    );

    let write = |commands: &str| {
        fs::write(program.join("milvus"), format!("#!/bin/sh\n{commands}")).unwrap();
        fs::set_permissions(program.join("milvus"), Permissions::from_mode(0o755)).unwrap();
    };
    write("echo \"\u{1b}[31mof this program:$CARGO_MANIFEST_DIR.\nalas\" >&2; exit 3");
    let ended = LiteServer::start(&file, &program, READY).await.unwrap_err();
    let expected = "exit code 3; [31mof this program:.; alas";
    assert!(matches!(&ended, LiteError::Ended { how, .. } if how == expected), "{ended}");

    write("exec tail -f /dev/null");
    let silent = LiteServer::start(&file, &program, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(silent, LiteError::NotReady { .. }), "{silent}");
    assert_eq!((processes(&file), names_in(home.path())), (Vec::new(), vec!["program".to_owned()]));
}
