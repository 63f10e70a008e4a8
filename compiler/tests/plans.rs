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
fn check(options: &BuildOptions, source: &str, want: &Expect) -> Plan {
    let compiled = compile(options, source, &Fake::default());
    let messages = render(&compiled.diagnostics, &compiled.sources, false);
    let Some(plan) = compiled.plan else { panic!("{messages}") };
    want.assert_eq(&(messages + &summary(&plan)));
    let read = Plan::from_json(plan.to_canonical_json().as_bytes()).unwrap();
    assert_eq!(read, plan);
    plan
}

/// Runs are shown with all that is not the default.
fn exec_of(plan: &Plan, number: usize) -> String {
    let execs = plan.nodes.iter().filter_map(|n| match &n.op {
        Op::Exec(exec) => Some(exec),
        _ => None,
    });
    serde_json::to_string_pretty(execs.collect::<Vec<_>>()[number]).unwrap()
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
        &expect![[r#"
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

#[test]
fn configuration_instructions() {
    let source = r#"FROM scratch
MAINTAINER Jo Doe <jo@example.org>
ARG P=8080
ENV A="x y" B=$A
LABEL l=$P
EXPOSE $P 53/udp 90-91
USER app:$P
WORKDIR /w
WORKDIR sub/../dir
WORKDIR /
VOLUME /a $P
STOPSIGNAL SIGINT
SHELL ["/bin/bash", "-c"]
CMD echo "hi"
ENTRYPOINT ["/e", "a b"]
HEALTHCHECK --interval=1m --retries=3 CMD test -f /ok
ONBUILD COPY --chown=1 a b
"#;
    check(
        &options(),
        source,
        &expect![[r#"
            0 [] (8, 1) scratch
                {"op":"scratch"}
            1 [0] (8, 1) [1/3] WORKDIR /w
                [{"mkdir":{"path":"/w","mode":493,"owner":"app:8080","parents":true}}]
            2 [1] (9, 1) [2/3] WORKDIR sub/../dir
                [{"mkdir":{"path":"/w/dir","mode":493,"owner":"app:8080","parents":true}}]
            default linux/amd64 root 2
                {"User":"app:8080","ExposedPorts":{"53/udp":{},"8080/tcp":{},"90/tcp":{},"91/tcp":{}},"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=x y","B="],"Entrypoint":["/e","a b"],"Cmd":["/bin/bash","-c","echo \"hi\""],"Healthcheck":{"Interval":60000000000,"Retries":3,"Test":["CMD-SHELL","test -f /ok"]},"ArgsEscaped":true,"Volumes":{"/a":{},"8080":{}},"WorkingDir":"/","OnBuild":["COPY --chown=1 a b"],"Labels":{"l":"8080"},"StopSignal":"SIGINT","Shell":["/bin/bash","-c"]}
                None MAINTAINER Jo Doe <jo@example.org>
                None ARG P=8080
                None ENV A=x y B=
                None LABEL l=8080
                None EXPOSE map[53/udp:{} 8080/tcp:{} 90/tcp:{} 91/tcp:{}]
                None USER app:8080
                Some(1) WORKDIR /w
                Some(2) WORKDIR /w/dir
                None WORKDIR /
                None VOLUME [/a 8080]
                None STOPSIGNAL SIGINT
                None SHELL [/bin/bash -c]
                None CMD ["/bin/bash" "-c" "echo \"hi\""]
                None ENTRYPOINT ["/e" "a b"]
                None HEALTHCHECK &{["CMD-SHELL" "test -f /ok"] "1m0s" "0s" "0s" "0s" '\x03'}
        "#]],
    );
}

#[test]
fn copies_of_all_kinds() {
    let source = r#"FROM alpine AS a
FROM scratch
WORKDIR /w
ARG name=file
COPY --chown=app:staff --chmod=0640 $name.txt two sub/
COPY ["two words", "$name", "/j/"]
COPY --link --exclude=*.md --exclude=x . ..
COPY --parents ./x/./**/*.txt /p
COPY --from=0 /etc/passwd /
COPY --from=busybox /bin /bin
ADD local.tar /t
ADD --unpack=false local.tar /t
ADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 https://h/a%20b.tgz?x /d/
ADD --unpack --chmod=u=rwX http://h/x.tar /d/
ADD --keep-git-dir https://h/r.git#v1:sub /r
COPY <<EOF <<"RAW" plain /h/
hello $name \$5
EOF
hello $name
RAW
"#;
    check(
        &options(),
        source,
        &expect![[r#"
        0 [] (1, 1) [a 1/1] FROM docker.io/library/alpine:latest@sha256:55fa887c102bee66e7335eac5c876479588f8e9189c2a0bbaea014eddb09cdd7
            {"op":"image","ref":"docker.io/library/alpine:latest","pin":"sha256:55fa887c102bee66e7335eac5c876479588f8e9189c2a0bbaea014eddb09cdd7","platform":"linux/amd64"}
        1 [] (3, 1) scratch
            {"op":"scratch"}
        2 [1] (3, 1) [stage-1  1/13] WORKDIR /w
            [{"mkdir":{"path":"/w","mode":493,"parents":true}}]
        3 [] (5, 1) [internal] load build context
            {"op":"local","context":"context"}
        4 [2, 3] (5, 1) [stage-1  2/13] COPY --chown=app:staff --chmod=0640 $name.txt two sub/
            [{"copy":{"from":1,"source":"/file.txt","dest":"/w/sub/","owner":"app:staff","mode":{"octal":416}}},{"copy":{"from":1,"source":"/two","dest":"/w/sub/","owner":"app:staff","mode":{"octal":416}}}]
        5 [4, 3] (6, 1) [stage-1  3/13] COPY ["two words", "$name", "/j/"]
            [{"copy":{"from":1,"source":"/two words","dest":"/j/"}},{"copy":{"from":1,"source":"/file","dest":"/j/"}}]
        6 [5, 3] (7, 1) [stage-1  4/13] COPY --link --exclude=*.md --exclude=x . ..
            [{"copy":{"from":1,"source":"/","dest":"/","exclude":["*.md","x"],"link":true}}]
        7 [6, 3] (8, 1) [stage-1  5/13] COPY --parents ./x/./**/*.txt /p
            [{"copy":{"from":1,"source":"/x/./**/*.txt","dest":"/p","parents":true}}]
        8 [7, 0] (9, 1) [stage-1  6/13] COPY --from=0 /etc/passwd /
            [{"copy":{"from":1,"source":"/etc/passwd","dest":"/"}}]
        9 [] (10, 1) FROM docker.io/library/busybox:latest@sha256:75779223cc7452aacd9534e86f224c13b1f4839ccbece961cc3d714aee24d755
            {"op":"image","ref":"docker.io/library/busybox:latest","pin":"sha256:75779223cc7452aacd9534e86f224c13b1f4839ccbece961cc3d714aee24d755","platform":"linux/amd64"}
        10 [8, 9] (10, 1) [stage-1  7/13] COPY --from=busybox /bin /bin
            [{"copy":{"from":1,"source":"/bin","dest":"/bin"}}]
        11 [10, 3] (11, 1) [stage-1  8/13] ADD local.tar /t
            [{"copy":{"from":1,"source":"/local.tar","dest":"/t","unpack":"auto"}}]
        12 [11, 3] (12, 1) [stage-1  9/13] ADD --unpack=false local.tar /t
            [{"copy":{"from":1,"source":"/local.tar","dest":"/t"}}]
        13 [] (13, 1) https://h/a%20b.tgz?x
            {"op":"http","url":"https://h/a%20b.tgz?x","filename":"a b.tgz","checksum":"sha256:0000000000000000000000000000000000000000000000000000000000000000","mode":384}
        14 [12, 13] (13, 1) [stage-1 10/13] ADD --checksum=sha256:0000000000000000000000000000000000000000000000000000000000000000 https://h/a%20b.tgz?x /d/
            [{"copy":{"from":1,"source":"/a b.tgz","dest":"/d/"}}]
        15 [] (14, 1) http://h/x.tar
            {"op":"http","url":"http://h/x.tar","filename":"x.tar","mode":384}
        16 [14, 15] (14, 1) [stage-1 11/13] ADD --unpack --chmod=u=rwX http://h/x.tar /d/
            [{"copy":{"from":1,"source":"/x.tar","dest":"/d/","mode":{"symbolic":"u=rwX"},"unpack":"auto"}}]
        17 [] (15, 1) https://h/r.git#v1
            {"op":"git","url":"https://h/r.git","ref":"v1","subdir":"sub","keep_git_dir":true}
        18 [16, 17] (15, 1) [stage-1 12/13] ADD --keep-git-dir https://h/r.git#v1:sub /r
            [{"copy":{"from":1,"source":"/","dest":"/r"}}]
        19 [18, 3] (16, 1) [stage-1 13/13] COPY <<EOF <<"RAW" plain /h/
            [{"copy":{"from":1,"source":"/plain","dest":"/h/"}},{"write":{"path":"/h/","name":"EOF","data":"hello file $5\n","mode":{"octal":420}}},{"write":{"path":"/h/","name":"RAW","data":"hello $name\n","mode":{"octal":420}}}]
        default linux/amd64 root 19
            {"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/w"}
            Some(2) WORKDIR /w
            None ARG name=file
            Some(4) COPY --chown=app:staff --chmod=0640 file.txt two sub/ # buildkit
            Some(5) COPY two words file /j/ # buildkit
            Some(6) COPY --link . .. # buildkit
            Some(7) COPY --parents ./x/./**/*.txt /p # buildkit
            Some(8) COPY /etc/passwd / # buildkit
            Some(10) COPY /bin /bin # buildkit
            Some(11) ADD local.tar /t # buildkit
            Some(12) ADD local.tar /t # buildkit
            Some(14) ADD https://h/a%20b.tgz?x /d/ # buildkit
            Some(16) ADD --chmod=u=rwX http://h/x.tar /d/ # buildkit
            Some(18) ADD https://h/r.git#v1:sub /r # buildkit
            Some(19) COPY plain <<EOF <<RAW /h/ # buildkit
    "#]],
    );
}

#[test]
fn runs_of_all_kinds() {
    let source = r#"FROM alpine AS s
FROM alpine
USER app
WORKDIR /w
ARG v=1
ARG unset
RUN ["exec", "form"]
RUN --network=none --security=insecure cat <<A - <<-B
one
A
	two
	B
RUN <<EOF
echo body $v
EOF
RUN <<EOF
#!/bin/awk -f
BEGIN { }
EOF
RUN --mount=target=ctx --mount=type=cache,target=/c,from=s,source=x,sharing=locked --mount=type=secret,id=k \
    --mount=type=secret,id=e,env=TOKEN,required --mount=type=ssh --mount=type=tmpfs,target=/t,size=1m true
"#;
    let mut options = options();
    options.build_args.insert("http_proxy".into(), "http://p".into());
    options.build_args.insert("BUILDKIT_CACHE_MOUNT_NS".into(), "ns".into());
    options.build_args.insert("BUILDKIT_SANDBOX_HOSTNAME".into(), "box".into());
    options.shm_size = 5;
    options.no_cache = rbc_compiler::NoCache::All;
    let plan = check(
        &options,
        source,
        &expect![[r##"
        0 [] (1, 1) [s 1/1] FROM docker.io/library/alpine:latest@sha256:55fa887c102bee66e7335eac5c876479588f8e9189c2a0bbaea014eddb09cdd7
            {"op":"image","ref":"docker.io/library/alpine:latest","pin":"sha256:55fa887c102bee66e7335eac5c876479588f8e9189c2a0bbaea014eddb09cdd7","platform":"linux/amd64"}
        1 [0] (4, 1) [stage-1 2/7] WORKDIR /w
            [{"mkdir":{"path":"/w","mode":493,"owner":"app","parents":true}}]
        2 [1] (7, 1) [stage-1 3/7] RUN ["exec", "form"]
            exec ["exec","form"] in /w as "app"
        3 [2] (8, 1) [stage-1 4/7] RUN --network=none --security=insecure cat <<A - <<-B
            exec ["/bin/sh","-c","cat <<A - <<-B\none\nA\ntwo\nB"] in /w as "app"
        4 [3] (13, 1) [stage-1 5/7] RUN <<EOF
            exec ["/bin/sh","-c","echo body $v\n"] in /w as "app"
        5 [] (16, 1) scratch
            {"op":"scratch"}
        6 [5] (16, 1) preparing inline script EOF
            [{"write":{"path":"/EOF","name":"EOF","data":"#!/bin/awk -f\nBEGIN { }\n","mode":{"octal":493}}}]
        7 [4, 6] (16, 1) [stage-1 6/7] RUN <<EOF
            exec ["/bin/sh","-c","/dev/pipes/EOF"] in /w as "app"
        8 [] (20, 1) [internal] load build context
            {"op":"local","context":"context"}
        9 [7, 8, 0] (20, 1) [stage-1 7/7] RUN --mount=target=ctx --mount=type=cache,target=/c,from=s,source=x,sharing=locked --mount=type=secret,id=k --mount=type=secret,id=e,env=TOKEN,required --mount=type=ssh --mount=type=tmpfs,target=/t,size=1m true
            exec ["/bin/sh","-c","true"] in /w as "app"
        default linux/amd64 root 9
            {"User":"app","Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","BASE_FLAVOUR=alpine"],"Cmd":["/bin/sh"],"WorkingDir":"/w"}
            None layer 0
            None layer 1
            None USER app
            Some(1) WORKDIR /w
            None ARG v=1
            None ARG unset
            Some(2) RUN |2 v=1 unset= exec form # buildkit
            Some(3) RUN |2 v=1 unset= /bin/sh -c cat <<A - <<-B
        one
        A
        two
        B # buildkit
            Some(4) RUN |2 v=1 unset= /bin/sh -c echo body $v
         # buildkit
            Some(7) RUN |2 v=1 unset= /bin/sh -c /dev/pipes/EOF # buildkit
            Some(9) RUN |2 v=1 unset= /bin/sh -c true # buildkit
    "##]],
    );
    expect![[r#"
        {
          "args": [
            "/bin/sh",
            "-c",
            "true"
          ],
          "env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "BASE_FLAVOUR=alpine",
            "v=1",
            "SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0"
          ],
          "cwd": "/w",
          "user": "app",
          "hostname": "box",
          "mounts": [
            {
              "target": "/w/ctx",
              "type": "bind",
              "input": 1,
              "source": "/"
            },
            {
              "target": "/c",
              "type": "cache",
              "id": "ns/c",
              "sharing": "locked",
              "input": 2,
              "source": "/x",
              "mode": 493,
              "uid": 0,
              "gid": 0
            },
            {
              "target": "/run/secrets/k",
              "type": "secret",
              "id": "k",
              "file": true,
              "mode": 256,
              "uid": 0,
              "gid": 0
            },
            {
              "target": "/run/secrets/e",
              "type": "secret",
              "id": "e",
              "file": false,
              "env": "TOKEN",
              "required": true,
              "mode": 256,
              "uid": 0,
              "gid": 0
            },
            {
              "target": "/run/buildkit/ssh_agent.0",
              "type": "ssh",
              "id": "default",
              "mode": 384,
              "uid": 0,
              "gid": 0
            },
            {
              "target": "/t",
              "type": "tmpfs",
              "size": 1048576
            }
          ],
          "shm_size": 5,
          "proxy_env": [
            "http_proxy=http://p"
          ],
          "ignore_cache": true
        }"#]]
    .assert_eq(&exec_of(&plan, 4));
    assert_eq!(plan.inputs.contexts.len(), 1);
    let secrets: Vec<_> = plan.inputs.secrets.iter().map(|s| (s.id.as_str(), s.required)).collect();
    assert_eq!(secrets, [("e", true), ("k", false)]);
    assert_eq!(plan.inputs.ssh[0].id, "default");
}

#[test]
fn mounts_in_a_working_directory() {
    let source = "FROM scratch\nWORKDIR /w\nRUN --mount=type=tmpfs --mount=target=rel,id=x,env=y \\\n  \
                  --mount=type=secret,id=s,target=sec --mount=type=ssh,target=sock true\n";
    let compiled = compile(&options(), source, &Fake::default());
    assert_eq!(compiled.diagnostics, []);
    let plan = compiled.plan.unwrap();
    let exec = plan.nodes.iter().find_map(|node| if let Op::Exec(exec) = &node.op { Some(exec) } else { None });
    let targets: Vec<_> = exec.unwrap().mounts.iter().map(|m| m.target.as_str()).collect();
    // Secrets and sockets do not count from the working directory.
    assert_eq!(targets, ["/w", "/w/rel", "/sec", "/sock"]);
}

#[test]
fn triggers_of_an_image_and_of_a_stage() {
    let source = "FROM later AS parent\nONBUILD RUN <<EOF\necho trigger\nEOF\nFROM parent\nRUN true\nFROM onbuild\nCOPY --from=1 /a /b\n";
    check(
        &options(),
        source,
        &expect![[r#"
        0 [] (1, 1) [parent 1/2] FROM docker.io/library/later:latest@sha256:4e49ecb5d8b018b29a34e710e9a61329f97ad084cc3ba79eae69fe1d1815ca45
            {"op":"image","ref":"docker.io/library/later:latest","pin":"sha256:4e49ecb5d8b018b29a34e710e9a61329f97ad084cc3ba79eae69fe1d1815ca45","platform":"linux/amd64"}
        1 [] (1, 1) FROM docker.io/library/busybox:latest@sha256:75779223cc7452aacd9534e86f224c13b1f4839ccbece961cc3d714aee24d755
            {"op":"image","ref":"docker.io/library/busybox:latest","pin":"sha256:75779223cc7452aacd9534e86f224c13b1f4839ccbece961cc3d714aee24d755","platform":"linux/amd64"}
        2 [0, 1] (1, 1) [parent 2/2] COPY --from=busybox /bin/sh /sh
            [{"copy":{"from":1,"source":"/bin/sh","dest":"/sh"}}]
        3 [2] (5, 1) [stage-1 1/2] RUN <<EOF
            exec ["/bin/sh","-c","echo trigger\n"] in / as ""
        4 [3] (6, 1) [stage-1 2/2] RUN true
            exec ["/bin/sh","-c","true"] in / as ""
        5 [] (7, 1) [stage-2 1/4] FROM docker.io/library/onbuild:latest@sha256:27c9315b3080b94bcbe38d7e4ba6294ebef371f895874d74b3b154090fb36330
            {"op":"image","ref":"docker.io/library/onbuild:latest","pin":"sha256:27c9315b3080b94bcbe38d7e4ba6294ebef371f895874d74b3b154090fb36330","platform":"linux/amd64"}
        6 [] (7, 1) [internal] load build context
            {"op":"local","context":"context"}
        7 [5, 6] (7, 1) [stage-2 2/4] COPY payload.txt /onbuild/payload.txt
            [{"copy":{"from":1,"source":"/payload.txt","dest":"/onbuild/payload.txt"}}]
        8 [7] (7, 1) [stage-2 3/4] RUN cat /onbuild/payload.txt > /onbuild/ran && echo $ON_ARG >> /onbuild/ran
            exec ["/bin/sh","-c","cat /onbuild/payload.txt > /onbuild/ran && echo $ON_ARG >> /onbuild/ran"] in / as ""
        9 [8, 4] (8, 1) [stage-2 4/4] COPY --from=1 /a /b
            [{"copy":{"from":1,"source":"/a","dest":"/b"}}]
        default linux/amd64 root 9
            {"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","BASE_FLAVOUR=alpine","ON_ARG=from-base","ON_TRIGGER=fired"],"Cmd":["/bin/sh"],"Labels":{"triggered":"yes"}}
            None layer 0
            None layer 1
            Some(7) COPY payload.txt /onbuild/payload.txt # buildkit
            Some(8) RUN /bin/sh -c cat /onbuild/payload.txt > /onbuild/ran && echo $ON_ARG >> /onbuild/ran # buildkit
            None ENV ON_TRIGGER=fired
            None LABEL triggered=yes
            Some(9) COPY /a /b # buildkit
    "#]],
    );
}

#[test]
fn several_platforms() {
    let source = "FROM --platform=$BUILDPLATFORM alpine AS b\nARG TARGETARCH\nRUN echo $TARGETARCH\nFROM multi\nCOPY --from=b /f /f\n";
    let mut options = options();
    options.platforms = vec![Platform::new("linux", "amd64", ""), Platform::new("linux", "arm64", "")];
    check(
        &options,
        source,
        &expect![[r#"
        0 [] (1, 1) [linux/amd64 b 1/2] FROM docker.io/library/alpine:latest@sha256:55fa887c102bee66e7335eac5c876479588f8e9189c2a0bbaea014eddb09cdd7
            {"op":"image","ref":"docker.io/library/alpine:latest","pin":"sha256:55fa887c102bee66e7335eac5c876479588f8e9189c2a0bbaea014eddb09cdd7","platform":"linux/amd64"}
        1 [0] (3, 1) [linux/amd64 b 2/2] RUN echo $TARGETARCH
            exec ["/bin/sh","-c","echo $TARGETARCH"] in / as ""
        2 [] (4, 1) [linux/amd64 stage-1 1/2] FROM docker.io/library/multi:latest@sha256:922703ae36ae9fad1796e8263fb4131c44696f62f176cd533e459539ee1b8d29
            {"op":"image","ref":"docker.io/library/multi:latest","pin":"sha256:922703ae36ae9fad1796e8263fb4131c44696f62f176cd533e459539ee1b8d29","platform":"linux/amd64"}
        3 [2, 1] (5, 1) [linux/amd64 stage-1 2/2] COPY --from=b /f /f
            [{"copy":{"from":1,"source":"/f","dest":"/f"}}]
        4 [0] (3, 1) [linux/amd64->arm64 b 2/2] RUN echo $TARGETARCH
            exec ["/bin/sh","-c","echo $TARGETARCH"] in / as ""
        5 [] (4, 1) [linux/arm64 stage-1 1/2] FROM docker.io/library/multi:latest@sha256:691356d726ee4b6c537ed634f6c193a2ba2bf74c9f94d1bdba3e94fc094f434e
            {"op":"image","ref":"docker.io/library/multi:latest","pin":"sha256:691356d726ee4b6c537ed634f6c193a2ba2bf74c9f94d1bdba3e94fc094f434e","platform":"linux/arm64"}
        6 [5, 4] (5, 1) [linux/arm64 stage-1 2/2] COPY --from=b /f /f
            [{"copy":{"from":1,"source":"/f","dest":"/f"}}]
        default linux/amd64 root 3
            {"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","ARCH_ENV=amd64"],"Cmd":["/bin/sh"],"Labels":{"arch":"amd64"}}
            None layer 0
            None layer 1
            Some(3) COPY /f /f # buildkit
        default linux/arm64 root 6
            {"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","ARCH_ENV=arm64"],"Cmd":["/bin/sh"],"Labels":{"arch":"arm64"}}
            None layer 0
            None layer 1
            Some(6) COPY /f /f # buildkit
    "#]],
    );
}

#[test]
fn named_contexts() {
    let source = "FROM base AS one\nRUN exit 1\nFROM files\nCOPY --from=one /a /a\nCOPY --from=lay /b /b\nCOPY --from=repo . /r\nRUN --mount=from=files,target=/m true\n";
    let mut options = options();
    for (name, value) in [
        ("one", "docker-image://busybox"),
        ("files", "./dir"),
        ("lay", "oci-layout://l:v1"),
        ("repo", "github.com/o/r#main"),
    ] {
        options.build_contexts.insert(name.into(), value.into());
    }
    check(
        &options,
        source,
        &expect![[r#"
        0 [] (1, 1) FROM docker.io/library/busybox:latest@sha256:75779223cc7452aacd9534e86f224c13b1f4839ccbece961cc3d714aee24d755
            {"op":"image","ref":"docker.io/library/busybox:latest","pin":"sha256:75779223cc7452aacd9534e86f224c13b1f4839ccbece961cc3d714aee24d755","platform":"linux/amd64"}
        1 [] (3, 1) [context files] load from client
            {"op":"local","context":"files"}
        2 [] (3, 1) scratch
            {"op":"scratch"}
        3 [2, 1] (3, 1) [context files] FROM
            [{"copy":{"from":1,"source":"/","dest":"/"}}]
        4 [3, 0] (4, 1) [stage-1 2/5] COPY --from=one /a /a
            [{"copy":{"from":1,"source":"/a","dest":"/a"}}]
        5 [] (5, 1) FROM oci-layout://l:v1
            {"op":"image","ref":"l:v1","pin":"sha256:acac86c0e609ca906f632b0e2dacccb2b77d22b0621f20ebece1a4835b93f6f0","platform":"linux/amd64","layout":"l"}
        6 [4, 5] (5, 1) [stage-1 3/5] COPY --from=lay /b /b
            [{"copy":{"from":1,"source":"/b","dest":"/b"}}]
        7 [] (6, 1) https://github.com/o/r#main
            {"op":"git","url":"https://github.com/o/r","ref":"main"}
        8 [6, 7] (6, 1) [stage-1 4/5] COPY --from=repo . /r
            [{"copy":{"from":1,"source":"/","dest":"/r"}}]
        9 [8, 1] (7, 1) [stage-1 5/5] RUN --mount=from=files,target=/m true
            exec ["/bin/sh","-c","true"] in / as ""
        default linux/amd64 root 9
            {"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/"}
            Some(3) FROM files
            Some(4) COPY /a /a # buildkit
            Some(6) COPY /b /b # buildkit
            Some(8) COPY . /r # buildkit
            Some(9) RUN /bin/sh -c true # buildkit
    "#]],
    );
}

#[test]
fn only_what_the_target_needs_is_asked_for() {
    let source = "FROM nonexistent.invalid/x AS unused\nFROM alpine AS one\nRUN a\nFROM unused AS also\nFROM scratch\nCOPY --from=one / /\nCOPY --from=busybox / /\nCOPY x /\n";
    let fake = Fake::default();
    let compiled = compile(&options(), source, &fake);
    assert!(compiled.plan.is_some());
    let want = [
        "prefetch [docker.io/library/alpine:latest linux/amd64, docker.io/library/busybox:latest linux/amd64]",
        "image docker.io/library/alpine:latest linux/amd64",
        "image docker.io/library/busybox:latest linux/amd64",
        "file context .dockerignore",
        "file dockerfile Dockerfile.dockerignore",
    ];
    assert_eq!(*fake.log.lock().unwrap(), want);
}

#[test]
fn the_epoch_comes_from_argument_environment_or_file() {
    let epoch = |source: &str, environment: Option<&str>, argument: Option<&str>| {
        let mut options = options();
        options.source_date_epoch = environment.map(str::to_owned);
        options.build_args.extend(argument.map(|a| ("SOURCE_DATE_EPOCH".to_owned(), a.to_owned())));
        compile(&options, source, &Fake::default()).source_date_epoch
    };
    let file = "ARG SOURCE_DATE_EPOCH=1\nFROM scratch\n";
    assert_eq!(epoch("FROM scratch\n", None, None), None);
    assert_eq!(epoch(file, None, None), Some(1));
    assert_eq!(epoch(file, Some("2"), None), Some(2));
    assert_eq!(epoch(file, Some("2"), Some("3")), Some(3));
    assert_eq!(epoch(file, Some("2"), Some("")), None);
}

/// Places in the text are no part of what is computed.
#[test]
fn comments_do_not_change_digests() {
    let digests = |source: &str| {
        let plan = compile(&options(), source, &Fake::default()).plan.unwrap();
        plan.nodes.iter().map(|n| n.digest).collect::<Vec<_>>()
    };
    let plain = "FROM alpine\nCOPY a /a\nRUN x \\\n  y\n";
    let commented = "# c\nFROM alpine\n\n# d\nCOPY a /a\nRUN x \\\n# e\n  y\n";
    assert_eq!(digests(plain), digests(commented));
}

proptest::proptest! {
    /// Whatever the text, there is either a sound plan or something to tell,
    /// and telling works.
    #[test]
    fn any_text_is_either_planned_or_explained(
        lines in proptest::collection::vec(
            (
                "(FROM|ARG|RUN|COPY|ADD|ENV|LABEL|WORKDIR|EXPOSE|ONBUILD RUN|HEALTHCHECK CMD|USER|SHELL|VOLUME|CMD|#)",
                "( --(from|mount|chown|platform|link|network)=?[a-z0-2$=,/.]{0,8}| AS a| \\[\"a\",\"b\"\\]| <<E| \\$\\{a:-b\\}| [a-z0-2$={}:/.\"'ü#%?-]{1,8}| \\\\\n){0,5}",
            ),
            0..12,
        ),
        first in "(FROM alpine AS a\n|FROM scratch\n|ARG a=1\nFROM \\$a\n|)",
    ) {
        let body: Vec<_> = lines.iter().map(|(keyword, rest)| format!("{keyword}{rest}")).collect();
        let source = format!("{first}{}\nE\n", body.join("\n"));
        let compiled = compile(&options(), &source, &Fake::default());
        let shown = render(&compiled.diagnostics, &compiled.sources, false);
        match &compiled.plan {
            Some(plan) => {
                let read = Plan::from_json(plan.to_canonical_json().as_bytes());
                proptest::prop_assert_eq!(read.as_ref().ok(), Some(plan));
            }
            None => proptest::prop_assert!(shown.contains("error["), "nothing told about\n{}", source),
        }
    }
}
