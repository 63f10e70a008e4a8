//! Against git's own server (`git http-backend`), if git is installed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::registry::tests::server::{Request, Response, Server};
use super::*;

/// A repository with the commits one (tag v1, annotated tag a1), two (main) and
/// dev (branch dev), served over http.
struct Fixture {
    _folder: tempfile::TempDir,
    server: Server,
}

/// Makes the fixture, `None` (said loudly) without git.
fn fixture(allow_any: bool) -> Option<Fixture> {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    if Command::new("git").arg("--version").stdout(Stdio::null()).status().is_err() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: git is not installed");
        return None;
    }
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@x", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(&work)
            .env("GIT_COMMITTER_DATE", "1600000000 +0000")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let write = |name: &str, text: &str| std::fs::write(work.join(name), text).unwrap();
    git(&["init", "-q"]);
    std::fs::create_dir(work.join("sub")).unwrap();
    write("README", "one\n");
    write("sub/f", "1\n");
    write("run.sh", "#!/bin/sh\n");
    std::os::unix::fs::symlink("/etc", work.join("out")).unwrap();
    std::fs::set_permissions(work.join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "one"]);
    git(&["tag", "v1"]);
    git(&["tag", "-a", "-m", "note", "a1"]);
    write("README", "two\n");
    git(&["commit", "-q", "-am", "two"]);
    git(&["checkout", "-q", "-b", "dev"]);
    write("README", "dev\n");
    git(&["commit", "-q", "-am", "dev"]);
    git(&["checkout", "-q", "main"]);
    git(&["clone", "-q", "--bare", ".", "../r.git"]);
    if allow_any {
        git(&["-C", "../r.git", "config", "uploadpack.allowAnySHA1InWant", "true"]);
    }
    let root = folder.path().to_owned();
    let server = Server::start(move |request| backend(&root, request));
    Some(Fixture { _folder: folder, server })
}

/// Answers through git's CGI program.
fn backend(root: &Path, request: &Request) -> Response {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or(""))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(version) = request.header("git-protocol") {
        command.env("GIT_PROTOCOL", version);
    }
    if let Some(encoding) = request.header("content-encoding") {
        command.env("HTTP_CONTENT_ENCODING", encoding);
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&body);
    });
    let out = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap();
    let end = out.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let mut response = Response::ok(&out[end + 4..]);
    for line in String::from_utf8_lossy(&out[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            response.status = value.split(' ').next().unwrap().parse().unwrap();
        } else {
            response = response.with(name, value);
        }
    }
    response
}

impl Fixture {
    fn url(&self, rest: &str) -> GitUrl {
        let text = format!("http://{}/r.git{rest}", self.server.host());
        GitUrl::parse(&text).unwrap().unwrap()
    }
}

/// Resolves and checks out.
fn get(url: &GitUrl, keep: bool) -> Result<(tempfile::TempDir, GitCheckout), GitError> {
    let client = GitClient::default();
    let commit = client.resolve(url)?;
    let folder = tempfile::tempdir().unwrap();
    let checkout = client.checkout(url, &commit, folder.path(), keep)?;
    Ok((folder, checkout))
}

fn readme(url: &GitUrl) -> String {
    let (_folder, checkout) = get(url, false).unwrap();
    std::fs::read_to_string(checkout.root.join("README")).unwrap()
}

#[test]
fn references_of_all_kinds_are_found() {
    let Some(fixture) = fixture(true) else { return };
    for (rest, text) in [
        ("", "two\n"),
        ("#v1", "one\n"),
        ("#a1", "one\n"),
        ("#dev", "dev\n"),
        ("#refs/heads/dev", "dev\n"),
        ("#heads/dev", "dev\n"),
        ("?tag=a1", "one\n"),
        ("?branch=dev", "dev\n"),
        ("?ref=v1", "one\n"),
    ] {
        assert_eq!(readme(&fixture.url(rest)), text, "{rest}");
    }
    let client = GitClient::default();
    let lightweight = client.resolve(&fixture.url("#v1")).unwrap();
    assert_eq!(client.resolve(&fixture.url("#a1")).unwrap(), lightweight);
    assert_eq!(readme(&fixture.url(&format!("#{lightweight}"))), "one\n");
    let start = lightweight.get(..10).unwrap();
    assert_eq!(readme(&fixture.url(&format!("?commit={start}#v1"))), "one\n");
    let error = client.resolve(&fixture.url(&format!("?commit={start}"))).unwrap_err();
    assert!(matches!(error, GitError::WrongCommit { .. }), "{error}");
}

#[test]
fn a_missing_reference_is_named() {
    let Some(fixture) = fixture(true) else { return };
    let error = get(&fixture.url("#nope"), false).unwrap_err();
    let text = error.to_string();
    assert!(text.ends_with("/r.git: repository does not contain ref nope"), "{text}");
    assert!(!error.is_environment());
    let error = get(&fixture.url(&format!("#{}", "0".repeat(40))), false).unwrap_err();
    assert!(matches!(error, GitError::Failed { .. }), "{error}");
}

#[test]
fn commits_come_from_servers_that_refuse_ids() {
    let Some(fixture) = fixture(false) else {
        return;
    };
    let client = GitClient::default();
    let old = client.resolve(&fixture.url("#v1")).unwrap();
    assert_eq!(readme(&fixture.url(&format!("#{old}"))), "one\n");
}

#[test]
fn only_files_remain_with_their_modes() {
    use std::os::unix::fs::PermissionsExt;
    let Some(fixture) = fixture(true) else { return };
    let (_folder, checkout) = get(&fixture.url("?mtime=commit"), false).unwrap();
    let mode = |name: &str| {
        let data = std::fs::symlink_metadata(checkout.root.join(name)).unwrap();
        (data.permissions().mode() & 0o7777, data.modified().unwrap())
    };
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    assert_eq!(mode("README"), (0o644, time));
    assert_eq!(mode("run.sh"), (0o755, time));
    assert_eq!(mode("sub"), (0o755, time));
    assert_eq!(mode("out").1, time);
    assert!(!checkout.root.join(".git").exists());
    assert_eq!(checkout.commit_time, 1_600_000_000);
}

#[test]
fn a_kept_git_directory_is_usable_and_holds_no_password() {
    let Some(fixture) = fixture(true) else { return };
    let host = fixture.server.host();
    let url = GitUrl::parse(&format!("http://me:secret@{host}/r.git#v1")).unwrap().unwrap();
    let (_folder, checkout) = get(&url, true).unwrap();
    let git = checkout.root.join(".git");
    assert!(git.join("objects").is_dir());
    assert!(!git.join("FETCH_HEAD").exists());
    let config = std::fs::read_to_string(git.join("config")).unwrap();
    assert!(config.contains(&host) && !config.contains("secret"), "{config}");
    let clean = Command::new("git").args(["status", "--porcelain"]).current_dir(&checkout.root).output().unwrap();
    assert!(clean.status.success() && clean.stdout.is_empty(), "{clean:?}");
}

#[test]
fn a_subdirectory_is_the_root_and_no_link_leads_out() {
    let Some(fixture) = fixture(true) else { return };
    let (_folder, checkout) = get(&fixture.url("#v1:sub"), false).unwrap();
    assert_eq!(std::fs::read_to_string(checkout.root.join("f")).unwrap(), "1\n");
    for rest in ["#v1:none", "#v1:out", "#v1:README"] {
        let error = get(&fixture.url(rest), false).unwrap_err();
        assert!(matches!(error, GitError::NoSubdir { .. }), "{rest}: {error}");
    }
}

#[test]
fn submodules_come_along_unless_refused() {
    let Some(fixture) = fixture(true) else { return };
    let work = fixture._folder.path().join("work");
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@x"])
            .args(arguments)
            .current_dir(&work)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let address = format!("http://{}/r.git", fixture.server.host());
    git(&["submodule", "--quiet", "add", &address, "inner"]);
    git(&["commit", "-q", "-m", "with a submodule"]);
    git(&["push", "-q", "../r.git", "main:outer"]);
    let (_folder, with) = get(&fixture.url("#outer"), false).unwrap();
    assert_eq!(std::fs::read_to_string(with.root.join("inner/README")).unwrap(), "two\n");
    assert!(!with.root.join("inner/.git").exists());
    let (_folder, without) = get(&fixture.url("?submodules=0#outer"), false).unwrap();
    assert!(!without.root.join("inner/README").exists());
}

#[test]
fn authorization_is_sent_and_not_shown() {
    let server = Server::start(|_| Response::status(401).with("WWW-Authenticate", "Basic"));
    let url = format!("http://u:secret@{}/r.git", server.host());
    let url = GitUrl::parse(&url).unwrap().unwrap();
    let options = GitOptions::default().with_token("tok");
    let result = GitClient::new(options, Arc::default()).resolve(&url);
    let text = match result {
        Err(GitError::Start { .. }) => return,
        other => other.unwrap_err().to_string(),
    };
    assert!(!text.contains("secret"), "{text}");
    let sent = server.requests()[0].header("authorization").map(str::to_owned);
    assert_eq!(sent, Some(format!("basic {}", STANDARD.encode("x-access-token:tok"))));
}

#[test]
fn an_unreachable_server_is_the_environments_fault() {
    let url = GitUrl::parse("http://127.0.0.1:1/r.git").unwrap().unwrap();
    let error = GitClient::default().resolve(&url).unwrap_err();
    assert!(error.is_environment(), "{error}");
}

#[test]
fn a_set_flag_stops_git() {
    let flag = Arc::new(AtomicBool::new(true));
    let url = GitUrl::parse("http://127.0.0.1:1/r.git").unwrap().unwrap();
    let error = GitClient::new(GitOptions::default(), flag).resolve(&url).unwrap_err();
    assert!(matches!(error, GitError::Cancelled));
}
