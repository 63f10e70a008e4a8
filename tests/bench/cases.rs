//! What is built.

/// One build to be measured.
pub(crate) struct Case {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// Name in the table.
    pub(crate) title: &'static str,
    /// The project's own goal.
    pub(crate) goal: &'static str,
    /// The Dockerfile; empty if it is made by [`Case::dockerfile`].
    text: &'static str,
    /// Whether each run passes another `STAMP`.
    pub(crate) changes: bool,
    /// Whether it needs the Go toolchain.
    pub(crate) golang: bool,
}

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "one-gib",
        title: "a changed RUN, then COPY --from of 1 GiB",
        goal: "≤ 150 ms, < 4 MiB",
        text: "FROM alpine AS data\nRUN mkdir /data && head -c 1073741824 /dev/urandom > /data/large\n\
               FROM alpine\nARG STAMP\nRUN echo $STAMP > /stamp\nCOPY --from=data /data /data\n",
        changes: true,
        golang: false,
    },
    Case {
        name: "many-files",
        title: "a changed RUN, then COPY --from of 100,000 files",
        goal: "≤ 250 ms, < 4 MiB",
        text: "FROM alpine AS data\n\
               RUN for d in $(seq 100); do mkdir -p /data/$d && cd /data/$d && \
               for f in $(seq 1000); do echo $d $f > $f; done; done\n\
               FROM alpine\nARG STAMP\nRUN echo $STAMP > /stamp\nCOPY --from=data /data /data\n",
        changes: true,
        golang: false,
    },
    Case {
        name: "unchanged",
        title: "three-stage Go program, unchanged",
        goal: "≤ 25 ms",
        text: "FROM golang:1.21-alpine AS builder\nWORKDIR /app\nCOPY main.go .\nRUN go build -o myapp .\n\
               FROM alpine:latest AS configs\nRUN mkdir /etc/myapp\n\
               RUN echo \"some_config=value\" > /etc/myapp/config.yaml\n\
               FROM alpine:latest\nWORKDIR /app\nCOPY --from=builder /app/myapp .\n\
               COPY --from=configs /etc/myapp/config.yaml /etc/myapp/config.yaml\nCMD [\"/app/myapp\"]\n",
        changes: false,
        golang: true,
    },
    Case {
        name: "forty-runs",
        title: "40 RUN steps of echo",
        goal: "≤ 600 ms",
        text: "",
        changes: true,
        golang: false,
    },
];

impl Case {
    /// Returns the Dockerfile.
    pub(crate) fn dockerfile(&self) -> String {
        if !self.text.is_empty() {
            return self.text.to_owned();
        }
        let steps: String = (1..=40).map(|i| format!("RUN echo step {i}\n")).collect();
        format!("FROM alpine\nARG STAMP\n{steps}")
    }
}
