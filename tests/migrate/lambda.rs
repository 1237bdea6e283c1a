//! The function as Lambda calls it: many short calls, folders on S3.

use std::fs;
use std::time::Duration;

use rowproof_io::aws::clients::Clients;
use rowproof_io::aws::store::Store;
use rowproof_io::clock::Clock;
use rowproof_io::postgres::Server;
use rowproof_local::{
    ACCESS_KEY, Function, LocalAws, Options, Output, REGION, RuntimeHost, SECRET_KEY,
};
use rowproof_migrate_function::{PREFIX, Place, handle};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::fixture::{ID, World, add_tier, number};
use super::kills::end_lease;

/// A call of some seconds does a part of it.
const SLOW: &str = "backfill = { needs = \"t.tier IS NULL\", start = 500, max = 500, duty = 0.1 }";

async fn call(place: &Place, event: Value, seconds: u64) -> Result<Value, String> {
    let deadline = Clock::system().deadline_in(seconds);
    let answered = Box::pin(handle(place, &event, "request-1", deadline)).await;
    answered.map_err(|error| error.to_string())
}

/// A local AWS with the folder in its bucket `output`.
async fn uploaded(world: &World) -> (LocalAws, Clients) {
    let buckets = vec![("output".to_owned(), false)];
    let aws = LocalAws::start(Options { buckets, ..Options::default() }).await.unwrap();
    let clients = Clients::local(&aws.endpoints().url, REGION, ACCESS_KEY, SECRET_KEY);
    let store = Store::new(clients.s3.clone(), Clock::system());
    for file in fs::read_dir(&world.path).unwrap().flatten() {
        let key = format!("{PREFIX}/{ID}/{}", file.file_name().to_string_lossy());
        store.put("output", &key, fs::read(file.path()).unwrap().into()).await.unwrap();
    }
    (aws, clients)
}

/// Processes under the Runtime API, with the database's address in a variable; some of them are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_of_the_function_end_a_migration_although_some_are_killed() {
    let world = World::start(20_000, &add_tier(SLOW)).await;
    let (aws, _) = uploaded(&world).await;
    let variables = [
        ("ROWPROOF_FUNCTION", "migrate".to_owned()),
        ("ROWPROOF_ENDPOINT", aws.endpoints().url.clone()),
        ("ROWPROOF_OUTPUT_BUCKET", "output".to_owned()),
        ("ROWPROOF_MIGRATE_DSN", "env:ROWPROOF_TEST_URL".to_owned()),
        ("ROWPROOF_TEST_URL", world.postgres.url()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
    ];
    let log = world.path.join(".log");
    let host = RuntimeHost::start(Function {
        name: "migrate".into(),
        command: env!("CARGO_BIN_EXE_rowproof-tests").into(),
        args: vec![],
        env: variables.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        timeout: Duration::from_secs(18),
        memory_mb: 128,
        environments_max: 2,
        output: Output::File(log.clone()),
    });
    let invoke = host.invoke();
    let (mut killed, mut calls) = (0, 0);
    let last = loop {
        calls += 1;
        assert!(calls < 100, "{}", fs::read_to_string(&log).unwrap_or_default());
        let call = tokio::spawn(invoke(json!({ "migration": ID })));
        if killed < 3 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            for pid in host.pids() {
                let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                killed += u32::from(kill_process(pid, Signal::KILL).is_ok());
            }
        }
        match call.await.unwrap() {
            Ok(answer) if answer["outcome"] == "yield" => {}
            Ok(answer) => break answer,
            Err(_) => end_lease(&world).await,
        }
    };
    let log = fs::read_to_string(&log).unwrap_or_default();
    assert_eq!(
        (&last["outcome"], &last["state"]),
        (&json!("done"), &json!("done")),
        "{last} {log}"
    );
    let wrong = "SELECT count(*) FROM customers WHERE tier IS NULL OR applied <> 1";
    assert_eq!(number(&world.client, wrong).await, 0);
    assert!(log.contains("migration over") && !log.contains("@example.com"), "{log}");
    println!("{calls} calls, {killed} processes killed");
    assert_eq!(killed, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_function_take_a_migration_to_its_end_and_another_back() {
    let world = World::start(20_000, &add_tier(SLOW)).await;
    let (_aws, clients) = uploaded(&world).await;
    let server = Server::at(&world.postgres.url());
    let place = Place::new(&clients, "output".into(), server, Clock::system());

    let unknown = call(&place, json!({ "migration": "20990101_x" }), 60).await.unwrap_err();
    assert!(unknown.contains("s3://output/_migrations/20990101_x/"), "{unknown}");
    let escape = call(&place, json!({ "migration": "../x" }), 60).await.unwrap_err();
    assert!(escape.contains("named by letters"), "{escape}");
    let typo = call(&place, json!({ "migration": ID, "verbs": "x" }), 60).await.unwrap_err();
    assert!(typo.contains("verbs"), "{typo}");

    let mut calls = 0;
    let last = loop {
        calls += 1;
        let answer = call(&place, json!({ "migration": ID }), 18).await.unwrap();
        assert!(calls < 200, "{answer}");
        if answer["outcome"] != "yield" {
            break answer;
        }
    };
    assert_eq!((&last["outcome"], &last["state"]), (&json!("done"), &json!("done")), "{last}");
    let wrong = "SELECT count(*) FROM customers WHERE tier IS NULL";
    assert_eq!(number(&world.client, wrong).await, 0);
    let status = call(&place, json!({ "migration": ID, "verb": "status" }), 60).await.unwrap();
    assert_eq!(status["status"]["state"], "done", "{status}");
    let back = json!({ "migration": ID, "verb": "rollback", "by": "anna", "reason": "late" });
    let refused = call(&place, back, 60).await.unwrap();
    assert_eq!(
        (&refused["outcome"], &refused["code"]),
        (&json!("failed"), &json!("PointOfNoReturn"))
    );
    assert!(calls > 1, "one call did it all");
    println!("{calls} calls");
}
