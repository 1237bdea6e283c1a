//! A Postgres server of the test's own, from the binaries that are installed.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// User and group that a server started by root runs as: nobody.
pub(crate) const NOBODY: u32 = 65_534;

/// Of every server; nobody needs these rows after a power cut.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
max_connections = 50
shared_buffers = 64MB
";

pub(crate) struct Postgres {
    dir: TempDir,
    binaries: PathBuf,
    pub(crate) port: u16,
    server: Child,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal(Signal::QUIT);
        self.server.wait().ok();
    }
}

/// The folder of `initdb` and `postgres`: on the path, or where Debian puts the newest.
fn binaries() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|found| found.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    let found = folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file());
    found.expect(
        "these tests need the Postgres server: install it, or put initdb and postgres on PATH",
    )
}

/// The newest `pg_dump` beside the server's own programs, which may be links from elsewhere.
pub(crate) fn pg_dump() -> PathBuf {
    fs::canonicalize(binaries().join("initdb")).unwrap().with_file_name("pg_dump")
}

impl Postgres {
    /// With the database `rows`, open to everybody on this machine.
    pub(crate) async fn start() -> Postgres {
        Postgres::start_with(&[]).await
    }

    /// The same with settings of the server's, such as `fsync=on`.
    pub(crate) async fn start_with(settings: &[&str]) -> Postgres {
        let dir = TempDir::with_prefix("rowproof-postgres-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        if geteuid().is_root() {
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let binaries = binaries();
        let made = command(&binaries.join("initdb"), &data)
            .args(["-A", "trust", "-U", "rowproof", "--no-sync", "-E", "UTF8", "--locale=C"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let conf = data.join("postgresql.conf");
        let usual = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, format!("{usual}{SETTINGS}{}\n", settings.join("\n"))).unwrap();
        let server = spawn(&binaries, &data, port);
        let mut postgres = Postgres { dir, binaries, port, server };
        postgres.wait().await;
        postgres.client("postgres").await.batch_execute("CREATE DATABASE rows").await.unwrap();
        postgres
    }

    /// A standby that follows it.
    pub(crate) async fn standby(&self) -> Postgres {
        let dir = TempDir::with_prefix("rowproof-postgres-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        if geteuid().is_root() {
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let program = fs::canonicalize(self.binaries.join("initdb")).unwrap();
        let source = format!("host=127.0.0.1 port={} user=rowproof", self.port);
        let copied = command(&program.with_file_name("pg_basebackup"), &data)
            .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-d", &source])
            .output()
            .unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = spawn(&self.binaries, &data, port);
        let mut standby = Postgres { dir, binaries: self.binaries.clone(), port, server };
        standby.wait().await;
        standby
    }

    /// Of the process that all sessions are children of.
    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Where a pipeline finds it.
    pub(crate) fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same behind another port.
    pub(crate) fn url_at(&self, port: u16) -> String {
        format!("postgres://rowproof@127.0.0.1:{port}/rows")
    }

    /// From now on this role needs its password.
    pub(crate) async fn ask_for_passwords(&self, role: &str) {
        self.admit(&format!("host all {role} 127.0.0.1/32 scram-sha-256")).await;
    }

    /// Lines of `pg_hba.conf` that come before all others.
    pub(crate) async fn admit(&self, lines: &str) {
        let file = self.dir.path().join("data/pg_hba.conf");
        let rest = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{lines}\n{rest}")).unwrap();
        self.look().await.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    }

    async fn try_client(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let url = format!("postgres://rowproof@127.0.0.1:{}/{database}", self.port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn client(&self, database: &str) -> Client {
        self.try_client(database).await.unwrap()
    }

    /// A connection that looks on.
    pub(crate) async fn look(&self) -> Client {
        self.client("rows").await
    }

    async fn wait(&mut self) {
        let began = Instant::now();
        while self.try_client("postgres").await.is_err() {
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(self.server.try_wait().unwrap().is_none(), "{}", log());
            assert!(began.elapsed() < Duration::from_secs(60), "{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.server.id()).unwrap()).unwrap();
        kill_process(pid, signal).ok();
    }

    /// Ends at once, as in a crash, and comes back after a time.
    pub(crate) async fn crash(&mut self, down: Duration) {
        self.signal(Signal::QUIT);
        self.server.wait().unwrap();
        tokio::time::sleep(down).await;
        self.server = spawn(&self.binaries, &self.dir.path().join("data"), self.port);
        self.wait().await;
    }
}

fn command(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-D").arg(data).stdin(Stdio::null()).current_dir("/");
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn spawn(binaries: &Path, data: &Path, port: u16) -> Child {
    let log =
        fs::File::options().create(true).append(true).open(data.with_file_name("log")).unwrap();
    command(&binaries.join("postgres"), data)
        .args(["-p", &port.to_string()])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
