//! Rules over Rust sources, line by line.

use crate::tree;

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 120;

/// This folder names what it forbids.
const OWN: &str = "tests/tidy";

type Rule = fn(path: &str, text: &str) -> Vec<String>;

/// What breaks `rule` in the Rust files of the workspace.
fn broken(rule: Rule) -> Vec<String> {
    let files = tree::rust_files();
    files.iter().flat_map(|file| rule(&file.path, &file.text)).collect()
}

/// `path:line: message` for every line that `matches`.
fn lines_where(
    path: &str,
    text: &str,
    message: &str,
    matches: impl Fn(&str) -> bool,
) -> Vec<String> {
    (1..)
        .zip(text.split('\n'))
        .filter(|(_, line)| matches(line))
        .map(|(n, _)| format!("{path}:{n}: {message}"))
        .collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Whether `line` holds `word`, not as the end of a longer name, as `print!` is of `eprint!`.
fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Test code by its place: the package of tests, and test modules with a file or folder of their own.
fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn files_are_short(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if is_test_file(path) || lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![format!(
        "{path}:{lines}: a file has at most {FILE_LINES_MAX} lines; split it, or move its tests to tests.rs"
    )]
}

fn opens_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let modifier = |word: &str| {
        word.starts_with("pub") || ["async", "const", "extern", "\"C\"", "unsafe"].contains(&word)
    };
    words.find(|word| !modifier(word)) == Some("fn")
}

/// Counts the lines of code in each body, as clippy does, but hears no `allow`. Relies on rustfmt: a
/// body ends at the first closing brace that stands under the `fn`.
fn functions_are_short(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((start, line)) = lines.next() {
        if !opens_function(line) || line.ends_with('}') || line.ends_with(';') {
            continue;
        }
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let (closing, signature_end) = (format!("{indent}}}"), format!("{indent})"));
        let mut in_body = line.ends_with('{');
        let mut code = 0_usize;
        // The search has a copy of its own, so that functions within functions are counted too.
        for (_, inner) in lines.clone() {
            if inner == closing || (inner.starts_with(&signature_end) && inner.ends_with(';')) {
                break;
            }
            if in_body && !inner.trim().is_empty() && !is_comment(inner) {
                code += 1;
            }
            in_body |= inner.ends_with('{');
        }
        if code > FUNCTION_LINES_MAX {
            let rule = format!("a function has at most {FUNCTION_LINES_MAX} lines of code");
            found.push(format!("{path}:{start}: {rule}, this one has {code}"));
        }
    }
    found
}

fn lines_are_short(path: &str, text: &str) -> Vec<String> {
    let message = format!("a line has at most {LINE_CHARS_MAX} characters");
    lines_where(path, text, &message, |line| line.chars().count() > LINE_CHARS_MAX)
}

fn no_trailing_blanks_or_tabs(path: &str, text: &str) -> Vec<String> {
    let mut found = lines_where(path, text, "no blanks at the end of a line", |line| {
        line.ends_with([' ', '\t', '\r'])
    });
    found.extend(lines_where(path, text, "no tabs; write \\t in a string", |line| {
        line.contains('\t')
    }));
    found
}

fn nothing_is_left_over(path: &str, text: &str) -> Vec<String> {
    if path.starts_with(OWN) {
        return Vec::new();
    }
    lines_where(
        path,
        text,
        "finish it or remove it: todo!, unimplemented!, dbg! and FIXME do not stay",
        |line| {
            let code = !is_comment(line)
                && ["todo!", "unimplemented!", "dbg!"].iter().any(|word| holds_word(line, word));
            code || holds_word(line, "FIXME")
        },
    )
}

fn only_the_command_line_prints(path: &str, text: &str) -> Vec<String> {
    let library = path.starts_with("functions/") || path.starts_with("shared/");
    if !library || path.starts_with("functions/cli/") || is_test_file(path) {
        return Vec::new();
    }
    lines_where(path, text, "only the command line prints; log with tracing", |line| {
        !is_comment(line) && (holds_word(line, "println!") || holds_word(line, "print!"))
    })
}

fn no_test_is_ignored(path: &str, text: &str) -> Vec<String> {
    if path.starts_with(OWN) {
        return Vec::new();
    }
    lines_where(path, text, "no test is ignored; make it pass or remove it", |line| {
        line.contains("#[ignore")
    })
}

fn sdk_types_stay_in_io(path: &str, text: &str) -> Vec<String> {
    if path.starts_with("shared/io/") || path.starts_with("tests/") {
        return Vec::new();
    }
    lines_where(
        path,
        text,
        "SDK types stop at rowproof-io, in the module that calls the SDK",
        |line| !is_comment(line) && line.contains("aws_sdk_"),
    )
}

/// For every text file, not only Rust.
fn no_path_of_one_machine(path: &str, text: &str) -> Vec<String> {
    if path.starts_with(OWN) {
        return Vec::new();
    }
    let machine = ["/home/", "/root/", "/Users/"];
    lines_where(path, text, "no path of one machine; make it relative or temporary", |line| {
        machine.iter().any(|folder| {
            line.match_indices(folder).any(|(at, _)| {
                let before = line.get(..at).and_then(|head| head.chars().next_back());
                !before.is_some_and(|c| c.is_alphanumeric() || "._-}~*".contains(c))
            })
        })
    })
}

const NONE: Vec<String> = Vec::new();

#[test]
fn no_source_file_is_too_long() {
    assert_eq!(broken(files_are_short), NONE);
}

#[test]
fn a_file_that_is_too_long_is_named() {
    let text = "// x\n".repeat(FILE_LINES_MAX + 1);
    assert_eq!(files_are_short("shared/core/src/a.rs", &text).len(), 1);
    assert_eq!(files_are_short("shared/core/src/a/tests.rs", &text), NONE);
    assert_eq!(files_are_short("shared/core/src/a.rs", &"// x\n".repeat(FILE_LINES_MAX)), NONE);
}

#[test]
fn no_function_is_too_long() {
    assert_eq!(broken(functions_are_short), NONE);
}

#[test]
fn a_function_that_is_too_long_is_named_by_its_first_line() {
    let body = |lines: usize| {
        format!(
            "\n    pub(crate) async fn long(\n        a: u8,\n    ) {{\n{}    }}\n",
            "        a();\n".repeat(lines)
        )
    };
    let found = functions_are_short("a.rs", &body(FUNCTION_LINES_MAX + 1));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found.iter().all(|line| line.starts_with("a.rs:2:")), "{found:?}");
    assert_eq!(functions_are_short("a.rs", &body(FUNCTION_LINES_MAX)), NONE);
    let comments =
        format!("fn commented() {{\n{}}}\n", "    // why\n\n".repeat(FUNCTION_LINES_MAX));
    assert_eq!(functions_are_short("a.rs", &comments), NONE);
}

#[test]
fn no_line_is_too_long() {
    assert_eq!(broken(lines_are_short), NONE);
}

#[test]
fn a_line_that_is_too_long_is_named() {
    let text = format!("\n{}\n{}\n", "é".repeat(LINE_CHARS_MAX), "x".repeat(LINE_CHARS_MAX + 1));
    assert_eq!(lines_are_short("a.rs", &text), ["a.rs:3: a line has at most 120 characters"]);
}

#[test]
fn no_line_ends_in_blanks_or_holds_a_tab() {
    assert_eq!(broken(no_trailing_blanks_or_tabs), NONE);
}

#[test]
fn blanks_and_tabs_are_named() {
    let found = no_trailing_blanks_or_tabs("a.rs", "a\nb \n\tc\nd\r\n");
    let places: Vec<&str> = found.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(places, ["a.rs:2", "a.rs:4", "a.rs:3"]);
}

#[test]
fn no_unfinished_code_is_left() {
    assert_eq!(broken(nothing_is_left_over), NONE);
}

#[test]
fn unfinished_code_is_named() {
    let path = "functions/cli/src/lib.rs";
    for line in ["    todo!()", "unimplemented!(\"x\")", "let a = dbg!(b);", "// FIXME later"] {
        assert_eq!(nothing_is_left_over(path, line).len(), 1, "{line}");
    }
    assert_eq!(nothing_is_left_over(path, "// `todo!` is refused by tests\nmy_todo!()"), NONE);
}

#[test]
fn only_the_command_line_writes_to_the_terminal() {
    assert_eq!(broken(only_the_command_line_prints), NONE);
}

#[test]
fn a_library_that_prints_is_named() {
    let text = "fn a() {\n    println!(\"{b}\");\n    eprintln!(\"c\");\n    // println!(d)\n}\n";
    let found = only_the_command_line_prints("shared/io/src/a.rs", text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found.iter().all(|line| line.starts_with("shared/io/src/a.rs:2:")), "{found:?}");
    assert_eq!(only_the_command_line_prints("functions/cli/src/a.rs", text), NONE);
}

#[test]
fn every_test_runs() {
    assert_eq!(broken(no_test_is_ignored), NONE);
}

#[test]
fn an_ignored_test_is_named() {
    let found = no_test_is_ignored("tests/e2e/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n");
    assert_eq!(found.len(), 1);
}

#[test]
fn sdk_types_stay_where_the_sdk_is_called() {
    assert_eq!(broken(sdk_types_stay_in_io), NONE);
}

#[test]
fn an_sdk_type_in_a_function_is_named() {
    let text = "use aws_sdk_s3::Client;\n";
    assert_eq!(sdk_types_stay_in_io("functions/chunk/src/lib.rs", text).len(), 1);
    assert_eq!(sdk_types_stay_in_io("shared/local/src/s3.rs", text).len(), 1);
    assert_eq!(sdk_types_stay_in_io("shared/io/src/s3.rs", text), NONE);
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let files = tree::files();
    let found: Vec<String> =
        files.iter().flat_map(|file| no_path_of_one_machine(&file.path, &file.text)).collect();
    assert_eq!(found, NONE);
}

#[test]
fn a_path_of_one_machine_is_named() {
    for line in ["/Users/me/a", "see file:///home/me/a", "cd /root/x"] {
        assert_eq!(no_path_of_one_machine("README.md", line).len(), 1, "{line}");
    }
    assert_eq!(
        no_path_of_one_machine("README.md", "s3://b/home/a and /tmp/whatever and ~/home/"),
        NONE
    );
}
