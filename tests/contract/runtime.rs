//! The Lambda Runtime API host, with this test binary as the function.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rowproof_local::{Function, Output, RuntimeHost};
use serde_json::{Value, json};

/// Tells the copy of this binary that it is the function.
const CHILD: &str = "ROWPROOF_CONTRACT_CHILD";

fn function(mode: &str, timeout: Duration) -> Function {
    Function {
        name: "echo".to_owned(),
        command: std::env::current_exe().unwrap(),
        args: ["--exact", "runtime::child", "--nocapture"].map(str::to_owned).to_vec(),
        env: vec![(CHILD.to_owned(), mode.to_owned())],
        timeout,
        memory_mb: 128,
        environments_max: 2,
        output: Output::File(std::env::temp_dir().join("rowproof-contract-child.log")),
    }
}

fn host() -> RuntimeHost {
    RuntimeHost::start(function("serve", Duration::from_secs(20)))
}

fn is_running(pid: u64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The function: does nothing unless a test started it as a process of its own.
#[test]
#[allow(clippy::disallowed_methods, reason = "a function is told by its environment")]
fn child() {
    let Ok(mode) = std::env::var(CHILD) else {
        return;
    };
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let path = "/2018-06-01/runtime";
    if mode == "refuse" {
        let body = r#"{"errorType":"Config.Missing","errorMessage":"no table"}"#;
        call(&api, "POST", &format!("{path}/init/error"), body);
        std::process::exit(1);
    }
    let _warm = vec![1_u8; 8 << 20];
    for count in 1_u64.. {
        let (headers, body) = call(&api, "GET", &format!("{path}/invocation/next"), "");
        let header = |name: &str| {
            let line = headers.iter().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim_start_matches(':').trim().to_owned()
        };
        let id = header("lambda-runtime-aws-request-id");
        let event: Value = serde_json::from_str(&body).unwrap();
        match event["do"].as_str() {
            Some("hang") => std::thread::sleep(Duration::from_secs(600)),
            Some("exit") => std::process::exit(3),
            Some("grow") => {
                let grown = vec![1_u8; 256 << 20];
                std::thread::sleep(Duration::from_secs(600));
                drop(grown);
            }
            Some("fail") => {
                let error = r#"{"errorType":"Mine","errorMessage":"no"}"#;
                call(&api, "POST", &format!("{path}/invocation/{id}/error"), error);
            }
            _ => {
                let answer = json!({
                    "pid": std::process::id(),
                    "count": count,
                    "event": event,
                    "deadline": header("lambda-runtime-deadline-ms").parse::<u64>().unwrap(),
                    "arn": header("lambda-runtime-invoked-function-arn"),
                    "name": std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap(),
                    "memory": std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").unwrap(),
                    "home": std::env::var("HOME").ok(),
                });
                let path = format!("{path}/invocation/{id}/response");
                call(&api, "POST", &path, &answer.to_string());
            }
        }
    }
}

/// One HTTP request; the headers in lower case and the body of the answer.
fn call(api: &str, method: &str, path: &str, body: &str) -> (Vec<String>, String) {
    let mut stream = TcpStream::connect(api).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {api}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut reader = BufReader::new(stream);
    let lines = reader.by_ref().lines().map(|line| line.unwrap().to_lowercase());
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let mut body = String::new();
    reader.read_to_string(&mut body).unwrap();
    (headers, body)
}

#[tokio::test]
async fn a_warm_process_is_used_again_and_knows_its_deadline() {
    let host = host();
    let before = now_ms();
    let first = host.invoke()(json!({"n": 1})).await.unwrap();
    let second = host.invoke()(json!({"n": 2})).await.unwrap();
    assert_eq!(first["pid"], second["pid"]);
    assert_eq!((&first["count"], &second["count"]), (&json!(1), &json!(2)));
    assert_eq!(second["event"], json!({"n": 2}));
    let deadline = first["deadline"].as_u64().unwrap();
    assert!((before + 20_000..before + 60_000).contains(&deadline), "{deadline} {before}");
    assert_eq!(first["arn"], "arn:aws:lambda:us-east-1:000000000000:function:echo");
    assert_eq!((&first["name"], &first["memory"]), (&json!("echo"), &json!("128")));
    assert_eq!(first["home"], Value::Null, "the environment is Lambda's, not ours");
    assert_eq!(host.processes_started(), 1);
    assert!(host.peak_rss_kb() > 8 << 10, "{}", host.peak_rss_kb());
}

#[tokio::test]
async fn calls_at_once_run_in_processes_of_their_own_up_to_the_limit() {
    let host = host();
    let calls = (0..6).map(|n| host.invoke()(json!({ "n": n })));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    assert!(host.processes_started() <= 2);
    assert!(host.idle_pids().len() <= 2);
}

#[tokio::test]
async fn at_the_deadline_the_process_is_killed_and_the_next_one_is_fresh() {
    let host = RuntimeHost::start(function("serve", Duration::from_secs(1)));
    let first = host.invoke()(json!({})).await.unwrap()["pid"].as_u64().unwrap();
    let error = host.invoke()(json!({"do": "hang"})).await.unwrap_err();
    assert_eq!(error.kind, "Sandbox.Timedout");
    assert!(error.message.contains("Task timed out after 1.00 seconds"), "{error}");
    assert!(!is_running(first));
    let second = host.invoke()(json!({})).await.unwrap();
    assert_ne!(second["pid"], first);
    assert_eq!(second["count"], 1);
}

#[tokio::test]
async fn a_process_that_ends_or_fails_says_so() {
    let host = host();
    let error = host.invoke()(json!({"do": "exit"})).await.unwrap_err();
    assert_eq!(error.kind, "Runtime.ExitError");
    let error = host.invoke()(json!({"do": "fail"})).await.unwrap_err();
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("Mine", "no"));
    let pid = host.idle_pids();
    assert_eq!(host.invoke()(json!({})).await.unwrap()["pid"], pid[0]);
}

#[tokio::test]
async fn a_process_that_outgrows_its_memory_is_killed() {
    let host = host();
    let pid = host.invoke()(json!({})).await.unwrap()["pid"].as_u64().unwrap();
    assert_eq!(host.pids(), [u32::try_from(pid).unwrap()]);
    let error = host.invoke()(json!({"do": "grow"})).await.unwrap_err();
    assert_eq!(error.kind, "Runtime.OutOfMemory", "{error}");
    assert!(!is_running(pid));
    assert_eq!(host.pids(), Vec::<u32>::new());
    assert_eq!(host.invoke()(json!({})).await.unwrap()["count"], 1, "a fresh process");
}

#[tokio::test]
async fn a_function_that_cannot_start_says_why() {
    let refusing = RuntimeHost::start(function("refuse", Duration::from_secs(5)));
    let error = refusing.invoke()(json!({})).await.unwrap_err();
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("Config.Missing", "no table"));
    let mut missing = function("serve", Duration::from_secs(5));
    missing.command = "/no/such/program".into();
    let error = RuntimeHost::start(missing).invoke()(json!({})).await.unwrap_err();
    assert_eq!(error.kind, "Runtime.InvalidEntrypoint");
    assert!(error.message.contains("/no/such/program"), "{error}");
}

#[tokio::test]
async fn no_process_outlives_its_host() {
    let host = host();
    let pid = host.invoke()(json!({})).await.unwrap()["pid"].as_u64().unwrap();
    assert!(is_running(pid));
    drop(host);
    let start = Instant::now();
    while is_running(pid) {
        assert!(start.elapsed() < Duration::from_secs(20), "process {pid} is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "compared with the deadline the host sets")]
fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
