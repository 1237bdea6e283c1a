//! A database with customers, migrations of it, and the engine over both.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rowproof_io::clock::Clock;
use rowproof_io::postgres::Server;
use rowproof_migrate::drive::Drive;
use rowproof_migrate::engine::{Engine, Options};
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::folder::Folder;
use tempfile::TempDir;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::postgres::Postgres;

pub(crate) const ID: &str = "20240115_add_tier";

/// Files of a migration, by name.
#[derive(Clone, Default)]
pub(crate) struct Files(Vec<(String, String)>);

/// Adds a column that old rows get from a rule and new ones from a trigger. `applied` counts how often the
/// rule met a row, which no rule of use does.
pub(crate) fn add_tier(settings: &str) -> Files {
    let toml = format!(
        "id = \"{ID}\"\nreversible = true\ntarget = {{ table = \"public.customers\", key = [\"id\"] }}\n{settings}\n\
         [[invariant]]\nname = \"tier_complete\"\nkind = \"zero_rows\"\n\
         sql = \"SELECT id FROM customers WHERE tier IS NULL AND spend IS NOT NULL\"\n"
    );
    let expand = "ALTER TABLE customers ADD COLUMN tier text, ADD COLUMN applied int NOT NULL DEFAULT 0;
        CREATE FUNCTION fill_tier() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.tier := coalesce(NEW.tier, 'tier ' || (NEW.spend / 100)); RETURN NEW; END $$;
        CREATE TRIGGER fill_tier BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION fill_tier();";
    Files(vec![])
        .with("migration.toml", &toml)
        .with("precheck.sql", "SELECT id FROM customers WHERE spend < 0")
        .with("expand.sql", expand)
        .with(
            "backfill.sql",
            "UPDATE customers t SET tier = 'tier ' || (t.spend / 100), applied = t.applied + 1\n\
             FROM rowproof_batch b WHERE t.id = b.id",
        )
        .with(
            "undo_backfill.sql",
            "UPDATE customers t SET tier = NULL FROM rowproof_batch b WHERE t.id = b.id",
        )
        .with(
            "down.sql",
            "DROP TRIGGER fill_tier ON customers; DROP FUNCTION fill_tier();
             ALTER TABLE customers DROP COLUMN tier, DROP COLUMN applied;",
        )
        .with(
            "contract.sql",
            "ALTER TABLE customers ADD CONSTRAINT tier_set CHECK (tier IS NOT NULL) NOT VALID;
             ALTER TABLE customers VALIDATE CONSTRAINT tier_set;
             ALTER TABLE customers ALTER COLUMN tier SET NOT NULL;
             ALTER TABLE customers DROP CONSTRAINT tier_set;
             ALTER TABLE customers DROP COLUMN old;",
        )
}

impl Files {
    pub(crate) fn with(mut self, name: &str, text: &str) -> Files {
        self = self.without(name);
        self.0.push((name.to_owned(), text.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Files {
        self.0.retain(|(known, _)| known != name);
        self
    }

    /// Replaces text of one file, which has to hold it.
    pub(crate) fn edit(mut self, name: &str, from: &str, to: &str) -> Files {
        let (_, text) = self.0.iter_mut().find(|(known, _)| known == name).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        *text = text.replace(from, to);
        self
    }

    pub(crate) fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join(ID);
        fs::create_dir_all(&path).unwrap();
        for (name, text) in &self.0 {
            fs::write(path.join(name), text).unwrap();
        }
        path
    }
}

/// A server with a table of customers, and a folder.
pub(crate) struct World {
    pub(crate) postgres: Postgres,
    pub(crate) client: Client,
    pub(crate) path: PathBuf,
    _dir: TempDir,
}

pub(crate) fn size(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().unwrap())
}

impl World {
    pub(crate) async fn start(rows: u64, files: &Files) -> World {
        World::start_on(Postgres::start().await, rows, files).await
    }

    pub(crate) async fn start_on(postgres: Postgres, rows: u64, files: &Files) -> World {
        let client = postgres.look().await;
        let create = format!(
            "CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL, spend int, \
               seen int NOT NULL DEFAULT 0, old text, born text NOT NULL DEFAULT 'before');
             INSERT INTO customers (id, email, spend, old) SELECT i, 'c' || i || '@example.com', i % 1000, 'x' \
               FROM generate_series(10, {rows} * 10, 10) i"
        );
        client.batch_execute(&create).await.unwrap();
        client.batch_execute("VACUUM ANALYZE customers").await.unwrap();
        let dir = TempDir::new().unwrap();
        let path = files.write(dir.path());
        World { postgres, client, path, _dir: dir }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine_at(self.postgres.port)
    }

    pub(crate) fn engine_at(&self, port: u16) -> Engine {
        engine(&self.path, &self.postgres.url_at(port))
    }

    /// Goes on until it is through.
    pub(crate) async fn finish(&self) -> Drive {
        finish(&self.engine()).await
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        number(&self.client, sql).await
    }

    /// Empty before a runner has come as far as to record one.
    pub(crate) async fn state(&self) -> String {
        let sql = "SELECT state FROM rowproof_migrate.migration";
        match self.client.query_opt(sql, &[]).await {
            Ok(row) => row.map_or_else(String::new, |row| row.get(0)),
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => String::new(),
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(&format!("SELECT ({sql})::bigint"), &[]).await.unwrap().get(0)
}

pub(crate) fn engine(path: &Path, url: &str) -> Engine {
    let options = Options { margin: Duration::from_millis(500), ..Options::default() };
    Engine::new(Folder::load(path).unwrap(), Server::at(url), Clock::system(), options)
}

pub(crate) async fn drive(engine: &Engine) -> Result<Drive, MigrateError> {
    engine.drive(Clock::system().deadline_in(600)).await
}

/// Calls again as long as it is told to, without the wait.
pub(crate) async fn finish(engine: &Engine) -> Drive {
    for _ in 0..600 {
        match drive(engine).await.unwrap() {
            done @ Drive::Done { .. } => return done,
            Drive::Yield { .. } => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    panic!("it does not end");
}
