//! Sessions over TLS: with the server that was meant, or not at all.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rowproof_io::postgres::{Fault, Server};
use rustix::process::geteuid;
use tempfile::TempDir;

use super::postgres::{good, pipeline, rows};
use super::support::orders::Orders;
use super::support::postgres::{NOBODY, Postgres};
use super::support::world::World;

/// An authority of one's own: a certificate, and what it signs.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate for `localhost` that lets `loader` in over TLS alone; where the certificates of
/// its authority and of a stranger are.
struct Secured {
    postgres: Postgres,
    dir: TempDir,
}

impl Secured {
    async fn start() -> Secured {
        let dir = TempDir::with_prefix("rowproof-tls-").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (own, stranger) = (authority("own"), authority("stranger"));
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let server = params.signed_by(&key, &own).unwrap();
        for (name, text) in [
            ("own.pem", own.pem()),
            ("stranger.pem", stranger.pem()),
            ("server.pem", server.pem()),
            ("server.key", key.serialize_pem()),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let private = dir.path().join("server.key");
        fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).unwrap();
        if geteuid().is_root() {
            chown(&private, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let place = |name: &str| dir.path().join(name).display().to_string();
        let (certificate, key) = (place("server.pem"), place("server.key"));
        let settings = [
            "ssl = on",
            &format!("ssl_cert_file = '{certificate}'"),
            &format!("ssl_key_file = '{key}'"),
        ];
        let postgres = Postgres::start_with(&settings).await;
        let own = "hostssl all loader 127.0.0.1/32 trust\nhost all loader 127.0.0.1/32 reject";
        postgres.admit(own).await;
        let role = "CREATE ROLE loader LOGIN SUPERUSER";
        postgres.look().await.batch_execute(role).await.unwrap();
        Secured { postgres, dir }
    }

    fn roots(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn url(&self, host: &str, roots: &str) -> String {
        let (port, roots) = (self.postgres.port, self.roots(roots).display().to_string());
        format!("postgres://loader@{host}:{port}/rows?sslmode=verify-full&sslrootcert={roots}")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_loaded_over_tls_by_the_server_that_was_meant() {
    let secured = Secured::start().await;
    let file = Orders { rows: 500, flaw_every: 50, ..Orders::clean(0) }.csv().0;
    let made = || {
        let world = World::new();
        world.write("orders.toml", pipeline(""));
        world.write("a.csv", &file);
        world
    };
    // It goes on trying, since somebody may be about to mend it, and says why.
    for (host, roots, words) in [
        ("localhost", "stranger.pem", "invalid peer certificate: UnknownIssuer"),
        ("127.0.0.1", "own.pem", "invalid peer certificate"),
        ("localhost", "nowhere.pem", "sslrootcert"),
    ] {
        let world = made();
        let run = world.run(&["a.csv"]).env("ROWS", secured.url(host, roots));
        run.start().until_it_says(words);
    }
    made().run(&["a.csv"]).env("ROWS", secured.url("localhost", "own.pem")).line();
    assert!(rows(&secured.postgres).await == good(&file));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_encrypted_or_somebody_has_to_see_to_it() {
    let secured = Secured::start().await;
    let client = Server::at(&secured.url("localhost", "own.pem")).connect().await.unwrap();
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert!(client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0));
    let plain = Postgres::start().await;
    let unencrypted = format!(
        "postgres://rowproof@localhost:{}/rows?sslmode=require&sslrootcert={}",
        plain.port,
        secured.roots("own.pem").display()
    );
    let open =
        format!("postgres://loader@127.0.0.1:{}/rows?sslmode=disable", secured.postgres.port);
    for (url, words) in [
        (secured.url("localhost", "stranger.pem"), "UnknownIssuer"),
        (secured.url("127.0.0.1", "own.pem"), "certificate"),
        (unencrypted, "TLS"),
        (open, "pg_hba.conf"),
    ] {
        let error = Server::at(&url).connect().await.map(drop).unwrap_err();
        assert!(error.to_string().contains(words), "{url}: {error}");
        assert_eq!(error.fault, Fault::Setup, "{url}: {error}");
    }
}
