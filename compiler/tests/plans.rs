//! Plans of real Dockerfiles.

mod fake;

use expect_test::{Expect, expect};
use fake::Fake;
use rbc_compiler::{BuildOptions, compile, render};
use rbc_ir::{Op, Plan, Platform};

fn options() -> BuildOptions {
    BuildOptions { build_platform: Platform::new("linux", "amd64", ""), ..BuildOptions::new("Dockerfile", ".") }
}

/// A plan, one line per node, then the configuration and the history.
fn summary(plan: &Plan) -> String {
    let mut out = String::new();
    for node in &plan.nodes {
        let origin = node.origin.map(|o| format!("{:?}", plan.origins[o].start)).unwrap_or_default();
        out.push_str(&format!("{} {:?} {} {}\n", node.id, node.inputs, origin, node.name));
        let detail = match &node.op {
            Op::Exec(exec) => {
                format!("exec {} in {} as {:?}", serde_json::to_string(&exec.args).unwrap(), exec.cwd, exec.user)
            }
            Op::File { actions } => serde_json::to_string(actions).unwrap(),
            other => serde_json::to_string(other).unwrap(),
        };
        out.push_str(&format!("    {detail}\n"));
    }
    for target in &plan.targets {
        for instance in &target.instances {
            out.push_str(&format!("{} {} root {}\n", target.id, instance.platform, instance.root));
            out.push_str(&format!("    {}\n", serde_json::to_string(&instance.config).unwrap()));
            for step in &instance.history {
                out.push_str(&format!("    {:?} {}\n", step.node, step.entry.created_by));
            }
        }
    }
    out
}

#[track_caller]
fn check(options: &BuildOptions, source: &str, want: Expect) -> Plan {
    let compiled = compile(options, source, &Fake::default());
    let messages = render(&compiled.diagnostics, &compiled.sources, false);
    let Some(plan) = compiled.plan else { panic!("{messages}") };
    want.assert_eq(&(messages + &summary(&plan)));
    let read = Plan::from_json(plan.to_canonical_json().as_bytes()).unwrap();
    assert_eq!(read, plan);
    plan
}

#[test]
fn two_stage_go_program() {
    let source = r#"FROM golang:1.21-alpine AS builder
WORKDIR /app
COPY main.go .
RUN go build -o myapp .

FROM alpine:latest
WORKDIR /app
COPY --from=builder /app/myapp .
CMD ["/app/myapp"]
"#;
    check(
        &options(),
        source,
        expect![[r#"
        0 [] (1, 1) [builder 1/4] FROM docker.io/library/golang:1.21-alpine@sha256:c8cd245d5d7e63116111ca1cda143db780c0547c75f9331976598bea5c834ac3
            {"op":"image","ref":"docker.io/library/golang:1.21-alpine","pin":"sha256:c8cd245d5d7e63116111ca1cda143db780c0547c75f9331976598bea5c834ac3","platform":"linux/amd64"}
        1 [0] (2, 1) [builder 2/4] WORKDIR /app
            [{"mkdir":{"path":"/app","mode":493,"parents":true}}]
        2 [] (3, 1) [internal] load build context
            {"op":"local","context":"context"}
        3 [1, 2] (3, 1) [builder 3/4] COPY main.go .
            [{"copy":{"from":1,"source":"/main.go","dest":"/app/"}}]
        4 [3] (4, 1) [builder 4/4] RUN go build -o myapp .
            exec ["/bin/sh","-c","go build -o myapp ."] in /app as ""
        5 [] (6, 1) [stage-1 1/3] FROM docker.io/library/alpine:latest@sha256:55fa887c102bee66e7335eac5c876479588f8e9189c2a0bbaea014eddb09cdd7
            {"op":"image","ref":"docker.io/library/alpine:latest","pin":"sha256:55fa887c102bee66e7335eac5c876479588f8e9189c2a0bbaea014eddb09cdd7","platform":"linux/amd64"}
        6 [5] (7, 1) [stage-1 2/3] WORKDIR /app
            [{"mkdir":{"path":"/app","mode":493,"parents":true}}]
        7 [6, 4] (8, 1) [stage-1 3/3] COPY --from=builder /app/myapp .
            [{"copy":{"from":1,"source":"/app/myapp","dest":"/app/"}}]
        default linux/amd64 root 7
            {"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","BASE_FLAVOUR=alpine"],"Cmd":["/app/myapp"],"ArgsEscaped":true,"WorkingDir":"/app"}
            None layer 0
            None layer 1
            Some(6) WORKDIR /app
            Some(7) COPY /app/myapp . # buildkit
            None CMD ["/app/myapp"]
    "#]],
    );
}
