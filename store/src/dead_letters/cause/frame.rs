//! The first frame of a stack trace that is the application's own, not a framework's: where one goes to look.
//!
//! A frame's line number is left out: it moves with every release, and the cause stays the same.

/// How many lines of a stack trace are looked at: deeper ones are a recursion, or not the application's.
const LINES_MAX: usize = 400;

/// The longest name of a function that is kept, in letters.
const FUNCTION_LETTERS_MAX: usize = 120;

/// What the functions of frameworks and runtimes begin with, on the JVM and on .NET.
const FOREIGN_PACKAGES: [&str; 27] = [
    "java.",
    "javax.",
    "jakarta.",
    "jdk.",
    "sun.",
    "com.sun.",
    "com.fasterxml.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "groovy.",
    "org.springframework.",
    "org.apache.",
    "io.micrometer.",
    "io.opentelemetry.",
    "io.smallrye.",
    "io.quarkus.",
    "io.netty.",
    "io.vertx.",
    "reactor.",
    "System.",
    "Microsoft.",
    "MassTransit.",
    "NServiceBus.",
    "Rebus.",
    "Confluent.",
    "DotNetCore.",
];

/// Parts of the paths of files that belong to a runtime or to somebody's package.
const FOREIGN_PATHS: [&str; 6] = ["node_modules/", "node:", "site-packages/", "lib/python", "/gems/", "<frozen "];

/// The application's own frame nearest to where it was thrown, as `Billing.charge`; `None` where no line is understood.
pub fn own(stack_trace: &str) -> Option<String> {
    let mut innermost_last = None;
    for line in stack_trace.lines().take(LINES_MAX) {
        let line = line.trim();
        if let Some(function) = python(line) {
            // Python prints the call that failed last.
            innermost_last = function.or(innermost_last);
        } else if let Some(function) = at(line).or_else(|| ruby(line)) {
            return Some(cut(&function));
        }
    }
    innermost_last.map(|function| cut(&function))
}

/// `at com.shop.Billing.charge(Billing.java:42)`, `at Shop.Billing.Charge(Order order) in /src/Billing.cs:line 42`,
/// `at async Billing.charge (/app/billing.js:42:7)`. `None` for what is no such line, and for what isn't the application's.
fn at(line: &str) -> Option<String> {
    let frame = line.strip_prefix("at ")?;
    let frame = ["async ", "new "].into_iter().find_map(|word| frame.strip_prefix(word)).unwrap_or(frame);
    let (function, place) = match frame.split_once('(') {
        // `charge [as run]`: by which name it was called.
        Some((function, place)) => (function.split(" [").next().unwrap_or(function).trim(), place),
        // Node.js names no function at the top of a file.
        None => ("", frame),
    };
    if FOREIGN_PATHS.iter().any(|path| place.contains(path)) {
        return None;
    }
    // The JVM names the module before the class: `app//com.shop.Billing.charge`, `java.base/java.lang.Thread.run`.
    let function = function.rsplit('/').next().unwrap_or(function);
    if FOREIGN_PACKAGES.iter().any(|package| function.starts_with(package)) {
        return None;
    }
    let is_named = !function.is_empty() && !function.contains(['<', ' ']);
    if is_named { Some(last_two(function)) } else { file(place) }
}

/// `File "/app/billing.py", line 42, in charge`: the frame, or `Some(None)` for one that isn't the application's.
fn python(line: &str) -> Option<Option<String>> {
    let (path, rest) = line.strip_prefix("File \"")?.split_once('"')?;
    let (_, function) = rest.split_once(", in ")?;
    let is_foreign = FOREIGN_PATHS.iter().any(|foreign| path.contains(foreign));
    let module = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".py");
    Some((!is_foreign).then(|| format!("{module}.{function}")))
}

/// "/app/consumers/billing.rb:42:in `charge'", with either quote.
fn ruby(line: &str) -> Option<String> {
    let (path, rest) = line.trim_start_matches("from ").split_once(".rb:")?;
    let function = rest.split_once(":in ")?.1.trim_matches(['`', '\'', '"']);
    let is_foreign = FOREIGN_PATHS.iter().any(|foreign| path.contains(foreign));
    let file = path.rsplit('/').next().unwrap_or(path);
    (!is_foreign).then(|| format!("{file}.{}", function.rsplit(['#', '.']).next().unwrap_or(function)))
}

/// The class and its method.
fn last_two(function: &str) -> String {
    let mut parts: Vec<&str> = function.rsplit('.').take(2).collect();
    parts.reverse();
    parts.join(".")
}

/// The name of the file in `/app/billing.js:42:7`.
fn file(place: &str) -> Option<String> {
    let name = place.rsplit('/').next()?.split([':', ')']).next()?;
    (name.contains('.') && !name.contains(' ')).then(|| name.to_owned())
}

fn cut(function: &str) -> String {
    function.chars().take(FUNCTION_LETTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stack_trace: &str, expected: Option<&str>) {
        assert_eq!(own(stack_trace).as_deref(), expected);
    }

    #[test]
    fn the_applications_frame_is_found_below_those_of_its_framework() {
        check(
            "org.springframework.kafka.listener.ListenerExecutionFailedException: failed\n\
             \tat org.springframework.kafka.listener.KafkaMessageListenerContainer.invoke(K.java:2)\n\
             \tat java.base/java.lang.Thread.run(Thread.java:1583)\n\
             Caused by: com.shop.GatewayTimeout: no answer\n\
             \tat app//com.shop.billing.Billing.charge(Billing.java:42)\n\
             \t... 9 more",
            Some("Billing.charge"),
        );
        check(
            "System.InvalidOperationException: no stock\n\
             \u{20}  at System.Linq.ThrowHelper.ThrowNoElementsException()\n\
             \u{20}  at Shop.Stock.Reserve(Order order) in /src/Stock.cs:line 42",
            Some("Stock.Reserve"),
        );
    }

    #[test]
    fn scripts_say_it_in_their_own_ways() {
        check(
            "TypeError: x is undefined\n    at run (/app/node_modules/kafkajs/src/consumer/runner.js:1:2)\n\
             \u{20}   at async Billing.charge (/app/src/billing.js:42:7)",
            Some("Billing.charge"),
        );
        check("Error: no\n    at /app/src/index.js:3:1\n    at node:internal/main:1:1", Some("index.js"));
        check("Error: no\n    at Object.<anonymous> (/app/src/index.js:3:1)", Some("index.js"));
        check(
            "Traceback (most recent call last):\n  File \"/app/worker.py\", line 9, in main\n    charge(order)\n\
             \u{20} File \"/app/billing.py\", line 42, in charge\n    raise Declined()\n\
             \u{20} File \"/usr/lib/python3.12/site-packages/requests/api.py\", line 1, in get\nbilling.Declined: no",
            Some("billing.charge"),
        );
        check(
            "/gems/karafka/lib/run.rb:1:in `call'\n/app/consumers/billing.rb:42:in 'Billing#charge'",
            Some("billing.charge"),
        );
    }

    #[test]
    fn what_is_no_stack_trace_has_no_frame() {
        for text in ["", "boom", "at ", "at (", "File \"", "at the end (of the day)\u{0}"] {
            let _ = own(text);
        }
        check("something went wrong\nand then more", None);
        check(&"at java.lang.Loop.run(L.java:1)\n".repeat(LINES_MAX + 10), None);
        assert!(own(&format!("at {}(A.java:1)", "a".repeat(10_000))).unwrap().len() <= FUNCTION_LETTERS_MAX);
    }
}
