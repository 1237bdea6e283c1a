//! What the linters of the template do not see: rights that reach too far, doors without TLS, data
//! that a deletion of the stack would take along, and numbers that have to agree.

use crate::tree;

const TEMPLATE: &str = "infra/template.yaml";

/// One entry of the template's `Resources`, or one statement of a policy.
struct Block<'a> {
    name: &'a str,
    /// Line number of its first line, from 1.
    line: usize,
    text: &'a str,
}

impl Block<'_> {
    fn is(&self, kind: &str) -> bool {
        self.text.lines().any(|line| line.trim() == format!("Type: {kind}"))
    }

    fn says(&self, statement: &str) -> bool {
        self.text.lines().any(|line| line.trim().trim_start_matches("- ") == statement)
    }

    /// The number after `key:`, comments aside.
    fn number(&self, key: &str) -> Option<u32> {
        let rest =
            self.text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':'))?;
        rest.split('#').next()?.trim().parse().ok()
    }

    fn breaks(&self, rule: &str) -> String {
        format!("{TEMPLATE}:{}: {} {rule}", self.line, self.name)
    }
}

/// Cuts `text` before every line that `name` finds a name in; what stands before the first goes.
fn blocks<'a>(
    text: &'a str,
    first_line: usize,
    name: impl Fn(&'a str) -> Option<&'a str>,
) -> Vec<Block<'a>> {
    let mut starts = Vec::new();
    let mut offset = 0;
    for (number, line) in (first_line..).zip(text.split_inclusive('\n')) {
        if let Some(name) = name(line) {
            starts.push((offset, number, name));
        }
        offset += line.len();
    }
    let ends =
        starts.iter().skip(1).map(|(offset, ..)| *offset).chain([text.len()]).collect::<Vec<_>>();
    let cut = |((start, line, name), end): ((usize, usize, &'a str), usize)| Block {
        name,
        line,
        text: text.get(start..end).unwrap_or_default(),
    };
    starts.into_iter().zip(ends).map(cut).collect()
}

fn resources(template: &str) -> Vec<Block<'_>> {
    let (head, rest) = template.split_once("\nResources:\n").unwrap_or_default();
    let body = rest.split("\nOutputs:\n").next().unwrap_or_default();
    blocks(body, head.lines().count() + 2, |line| {
        let name = line.strip_prefix("  ")?.trim_end().strip_suffix(':')?;
        (!name.starts_with([' ', '#'])).then_some(name)
    })
}

fn statements<'a>(resource: &Block<'a>) -> Vec<Block<'a>> {
    blocks(resource.text, resource.line, |line| line.trim().strip_prefix("- Sid: "))
}

/// A right names what it is for: no resource or action by wildcard, no statement without a name.
fn rights_are_narrow(template: &str) -> Vec<String> {
    let mut found = Vec::new();
    for resource in resources(template) {
        let statements = statements(&resource);
        if resource.text.matches("Effect: ").count() != statements.len() {
            found.push(resource.breaks("has a statement without a Sid"));
        }
        for statement in statements {
            if statement.says("Effect: Deny") {
                continue;
            }
            let wild = |line: &str| {
                let value =
                    line.trim().trim_start_matches("- ").trim_end().trim_matches(['"', '\'']);
                let value = value.rsplit(": ").next().unwrap_or(value).trim_matches(['"', '\'']);
                value == "*" || value.ends_with(":*")
            };
            if statement.text.lines().any(wild) {
                found.push(
                    statement.breaks("allows by wildcard; name the resource and the actions"),
                );
            }
        }
    }
    found
}

/// Every bucket and every queue has a policy that refuses requests without TLS.
fn doors_are_encrypted(template: &str) -> Vec<String> {
    let resources = resources(template);
    let guarded = |kind: &str, target: &str| {
        resources.iter().filter(|policy| policy.is(kind) && policy.says(target)).any(|policy| {
            statements(policy).iter().any(|statement| {
                statement.says("Effect: Deny")
                    && statement.says("Principal: \"*\"")
                    && statement.says("aws:SecureTransport: \"false\"")
            })
        })
    };
    let doors = resources.iter().filter(|door| {
        let bucket = door.is("AWS::S3::Bucket")
            && !guarded("AWS::S3::BucketPolicy", &format!("Bucket: !Ref {}", door.name));
        let queue = door.is("AWS::SQS::Queue")
            && !guarded("AWS::SQS::QueuePolicy", &format!("Queues: [!Ref {}]", door.name));
        bucket || queue
    });
    doors.map(|door| door.breaks("has no policy that refuses requests without TLS")).collect()
}

/// Deleting the stack never deletes rows or the ledger, and buckets are closed to the public.
fn data_is_kept(template: &str) -> Vec<String> {
    let mut found = Vec::new();
    for resource in resources(template) {
        let bucket = resource.is("AWS::S3::Bucket");
        let table = resource.is("AWS::DynamoDB::Table");
        let mut wanted: Vec<&str> = Vec::new();
        if bucket || table {
            wanted.extend(["DeletionPolicy: Retain", "UpdateReplacePolicy: Retain"]);
        }
        if bucket {
            wanted.extend([
                "BlockPublicAcls: true",
                "BlockPublicPolicy: true",
                "IgnorePublicAcls: true",
            ]);
            wanted.extend(["RestrictPublicBuckets: true", "ObjectOwnership: BucketOwnerEnforced"]);
        }
        if table {
            wanted.extend(["DeletionProtectionEnabled: true", "PointInTimeRecoveryEnabled: true"]);
            wanted.extend(["AttributeName: expiration", "BillingMode: PAY_PER_REQUEST"]);
        }
        let missing = wanted.into_iter().filter(|line| !resource.says(line));
        found.extend(missing.map(|line| resource.breaks(&format!("does not say {line}"))));
    }
    found
}

/// A function is started by queues, by a schedule or by a state machine. A message stays hidden for six times the
/// function's timeout, failures stay single, and roles are our own.
fn functions_fit_their_queues(template: &str) -> Vec<String> {
    let resources = resources(template);
    let mut found = Vec::new();
    for function in resources.iter().filter(|resource| resource.is("AWS::Serverless::Function")) {
        if !function.text.contains("\n      Role: !GetAtt ") {
            found.push(
                function.breaks("has no role of its own; SAM's reaches every queue and log group"),
            );
        }
        let queues: Vec<_> = resources
            .iter()
            .filter(|queue| {
                queue.is("AWS::SQS::Queue")
                    && function.says(&format!("Queue: !GetAtt {}.Arn", queue.name))
            })
            .collect();
        let single = "FunctionResponseTypes: [ReportBatchItemFailures]";
        if function.text.matches(single).count() != queues.len() {
            found.push(
                function.breaks("fails a whole batch for one message; report batch item failures"),
            );
        }
        let target = format!("Arn: !GetAtt {}.Arn", function.name);
        let called = format!("Function: !GetAtt {}.Arn", function.name);
        let scheduled = resources.iter().any(|other| {
            (other.is("AWS::Scheduler::Schedule") && other.says(&target))
                || (other.is("AWS::StepFunctions::StateMachine") && other.says(&called))
        });
        if queues.is_empty() && !scheduled {
            let what = "is started by no queue, no schedule and no state machine";
            found.push(function.breaks(what));
        }
        for queue in queues {
            found.extend(fits_its_queue(&resources, function, queue));
        }
    }
    found
}

fn fits_its_queue(resources: &[Block<'_>], function: &Block<'_>, queue: &Block<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let (hidden, timeout) = (queue.number("VisibilityTimeout"), function.number("Timeout"));
    if !matches!((hidden, timeout), (Some(hidden), Some(timeout)) if hidden >= 6 * timeout) {
        found.push(
            function.breaks("has a queue that hides a message for less than six times the timeout"),
        );
    }
    let is_dead_letters = resources
        .iter()
        .any(|other| other.says(&format!("deadLetterTargetArn: !GetAtt {}.Arn", queue.name)));
    if is_dead_letters {
        let event = function.text.split_once(&format!("Queue: !GetAtt {}.Arn", queue.name));
        let event = event.and_then(|(_, rest)| rest.split("FunctionResponseTypes").next());
        if !event.is_some_and(|event| event.contains("Enabled: false")) {
            found.push(
                function.breaks(
                    "empties a dead-letter queue by itself; somebody has to look at it first",
                ),
            );
        }
    } else if queue.number("maxReceiveCount").is_none_or(|attempts| attempts < 5) {
        found.push(
            function.breaks("has a queue without a dead-letter queue after at least five attempts"),
        );
    }
    found
}

/// Nothing writes uploads, and whoever may remove files is kept from the record by the safeguards.
fn files_are_safe(template: &str) -> Vec<String> {
    let resources = resources(template);
    let mut found = Vec::new();
    let safeguards = resources.iter().find(|resource| resource.name == "Safeguards");
    let guarded = safeguards.map_or("", |resource| resource.text);
    for resource in &resources {
        let allows = |action: &str| {
            statements(resource).into_iter().find(|statement| {
                statement.says("Effect: Allow")
                    && (statement.says(action) || statement.says(&format!("Action: {action}")))
            })
        };
        let roles = match resource.is("AWS::IAM::Role") {
            true => vec![resource.name],
            false => {
                let list =
                    resource.text.lines().find_map(|line| line.trim().strip_prefix("Roles: "));
                let names = list.unwrap_or_default().split(['[', ']', ',']);
                names.filter_map(|name| name.trim().strip_prefix("!Ref ")).collect()
            }
        };
        if let Some(statement) = allows("s3:DeleteObject") {
            let bare = roles.iter().filter(|role| !guarded.contains(&format!("!Ref {role}")));
            found.extend(bare.map(|role| {
                statement.breaks(&format!("lets {role} remove files without the safeguards"))
            }));
        }
        for action in ["s3:DeleteObject", "s3:PutObject"] {
            let written = allows(action).filter(|s| s.text.contains("${InputBucket.Arn}"));
            found.extend(written.map(|s| s.breaks("writes uploads; they are read only")));
        }
    }
    for never in ["manifests/*", "current/*", "_pipelines/*", "_plans/pipelines/*"] {
        if !guarded.contains(&format!("${{OutputBucket.Arn}}/{never}")) {
            found.push(format!("{TEMPLATE}:1: Safeguards no longer protect {never}"));
        }
    }
    found
}

/// A manifest is written once, also by somebody who holds the function's rights.
fn manifests_are_written_once(template: &str) -> Vec<String> {
    let resources = resources(template);
    let manifests = "Resource: !Sub ${OutputBucket.Arn}/manifests/*";
    let guarded = resources.iter().flat_map(statements).any(|statement| {
        statement.says("Effect: Deny")
            && statement.says(manifests)
            && statement.says("s3:if-none-match: \"true\"")
    });
    if guarded {
        Vec::new()
    } else {
        vec![format!("{TEMPLATE}:1: manifests/ can be overwritten; demand if-none-match")]
    }
}

/// Every variable that the functions refuse to start without is set. `source` asks by `need("NAME")`.
fn needed_variables_are_set(template: &str, source: &str) -> Vec<String> {
    let needed = source.split("need(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let missing = needed
        .filter(|name| !template.contains(&format!("\n        {name}: ")))
        .map(|name| format!("{TEMPLATE}:1: the functions need {name}; set it under Globals"));
    missing.collect()
}

/// The template with `from` replaced once; the test's own premise is that it is there.
fn spoiled(from: &str, to: &str) -> String {
    let template = tree::read(TEMPLATE);
    assert!(template.contains(from), "the template no longer says {from}");
    template.replacen(from, to, 1)
}

const NONE: Vec<String> = Vec::new();

#[test]
fn the_templates_rights_are_narrow() {
    assert_eq!(rights_are_narrow(&tree::read(TEMPLATE)), NONE);
}

#[test]
fn a_right_by_wildcard_is_named() {
    for (from, to) in [
        ("Resource: !GetAtt Table.Arn", "Resource: \"*\""),
        ("Resource: !GetAtt Table.Arn", "Resource:\n              - '*'"),
        ("- dynamodb:GetItem", "- dynamodb:*"),
        ("- Sid: KeepTheLedger\n            Effect", "- Effect"),
    ] {
        assert_eq!(rights_are_narrow(&spoiled(from, to)).len(), 1, "{to}");
    }
}

#[test]
fn the_templates_doors_are_encrypted() {
    assert_eq!(doors_are_encrypted(&tree::read(TEMPLATE)), NONE);
}

#[test]
fn a_bucket_or_queue_without_tls_is_named() {
    let found =
        doors_are_encrypted(&spoiled("Bucket: !Ref FailuresBucket", "Bucket: !Ref OutputBucket"));
    assert!(
        found.len() == 1 && found.iter().all(|line| line.contains(" FailuresBucket ")),
        "{found:?}"
    );
    let found = doors_are_encrypted(&spoiled(
        "aws:SecureTransport: \"false\"",
        "aws:SecureTransport: \"true\"",
    ));
    assert!(
        found.len() == 1 && found.iter().all(|line| line.contains(" UploadsQueue ")),
        "{found:?}"
    );
}

#[test]
fn the_templates_data_is_kept() {
    assert_eq!(data_is_kept(&tree::read(TEMPLATE)), NONE);
}

#[test]
fn data_that_a_deletion_would_take_along_is_named() {
    for (from, to) in [
        ("DeletionPolicy: Retain", "DeletionPolicy: Delete"),
        ("AttributeName: expiration", "AttributeName: ttl"),
        ("BlockPublicAcls: true", "BlockPublicAcls: false"),
        ("DeletionProtectionEnabled: true", "DeletionProtectionEnabled: false"),
    ] {
        assert_eq!(data_is_kept(&spoiled(from, to)).len(), 1, "{to}");
    }
}

#[test]
fn the_templates_functions_fit_their_queues() {
    assert_eq!(functions_fit_their_queues(&tree::read(TEMPLATE)), NONE);
}

#[test]
fn a_function_that_does_not_fit_its_queue_is_named() {
    for (from, to) in [
        ("VisibilityTimeout: 5400", "VisibilityTimeout: 5399"),
        ("            Enabled: false\n", ""),
        ("Queue: !GetAtt RedriveQueue.Arn", "Queue: !GetAtt OtherQueue.Arn"),
        ("Timeout: 300", "Timeout: 301"),
        ("maxReceiveCount: 5", "maxReceiveCount: 1"),
        ("            FunctionResponseTypes: [ReportBatchItemFailures]\n", ""),
        ("      Role: !GetAtt ChunkRole.Arn\n", "      Policies: [AWSLambdaExecute]\n"),
    ] {
        assert_eq!(functions_fit_their_queues(&spoiled(from, to)).len(), 1, "{to}");
    }
}

#[test]
fn a_function_that_nothing_starts_is_named() {
    let template = tree::read(TEMPLATE);
    let without = template.replace("Arn: !GetAtt ScheduleFunction.Arn", "Arn: !GetAtt Other.Arn");
    let found = functions_fit_their_queues(&without);
    assert!(found.len() == 1 && found.iter().all(|line| line.contains("no schedule")), "{found:?}");
}

#[test]
fn the_templates_files_are_safe() {
    assert_eq!(files_are_safe(&tree::read(TEMPLATE)), NONE);
}

#[test]
fn a_right_to_remove_without_safeguards_is_named() {
    let roles = "Roles: [!Ref IngestRole, !Ref ChunkRole, !Ref ScheduleRole]";
    let found = files_are_safe(&spoiled(roles, "Roles: [!Ref IngestRole, !Ref ChunkRole]"));
    assert!(
        found.len() == 1 && found.iter().all(|line| line.contains("ScheduleRole")),
        "{found:?}"
    );
    let reads =
        "                Action: s3:GetObject\n                Resource: !Sub ${InputBucket.Arn}/*";
    let writes =
        "                Action: s3:PutObject\n                Resource: !Sub ${InputBucket.Arn}/*";
    assert_eq!(files_are_safe(&spoiled(reads, writes)).len(), 1);
}

#[test]
fn the_templates_manifests_are_written_once() {
    assert_eq!(manifests_are_written_once(&tree::read(TEMPLATE)), NONE);
}

#[test]
fn manifests_that_can_be_overwritten_are_named() {
    let without = spoiled("s3:if-none-match: \"true\"", "s3:if-none-match: \"false\"");
    assert_eq!(manifests_are_written_once(&without).len(), 1);
}

#[test]
fn the_templates_functions_get_every_variable_they_need() {
    let template = tree::read(TEMPLATE);
    let sources = tree::rust_files();
    let io = sources.iter().filter(|file| file.path.starts_with("shared/io/"));
    let found: Vec<String> =
        io.flat_map(|file| needed_variables_are_set(&template, &file.text)).collect();
    assert_eq!(found, NONE);
}

#[test]
fn a_needed_variable_that_is_not_set_is_named() {
    let source = "let a = need(\"ROWPROOF_TABLE\")?;\nlet b = need(\"ROWPROOF_OTHER\")?;\n";
    let found = needed_variables_are_set(&tree::read(TEMPLATE), source);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found.iter().all(|line| line.contains("ROWPROOF_OTHER")), "{found:?}");
}
