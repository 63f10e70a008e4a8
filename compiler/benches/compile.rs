//! What a whole compilation costs, without its inputs.

use rbc_compiler::{BuildOptions, ImageMeta, InputError, Inputs, Session, compile};
use rbc_ir::{Digest, ImageDocument, Platform};

struct Constant;

impl Inputs for Constant {
    fn image(&self, reference: &str, platform: &Platform) -> Result<ImageMeta, InputError> {
        Ok(ImageMeta {
            reference: reference.to_owned(),
            pin: Digest([1; 32]),
            platform: platform.clone(),
            document: ImageDocument::default(),
        })
    }

    fn layout_image(&self, layout: &str, _: &str, platform: &Platform) -> Result<ImageMeta, InputError> {
        self.image(layout, platform)
    }

    fn read_context_file(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>, InputError> {
        Ok(None)
    }
}

const THREE_STAGES: &str = "FROM golang:1.21-alpine AS deps
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
FROM deps AS build
ARG VERSION=dev
ENV CGO_ENABLED=0
COPY . .
RUN --mount=type=cache,target=/root/.cache go build -ldflags \"-X main.version=${VERSION}\" -o /out/app ./cmd/app
FROM alpine:latest
RUN adduser -D app
USER app
WORKDIR /app
COPY --from=build --chown=app /out/app .
COPY --from=deps /etc/ssl /etc/ssl
EXPOSE 8080
LABEL org.opencontainers.image.title=\"app\"
ENTRYPOINT [\"/app/app\"]
CMD [\"serve\"]
";

#[divan::bench]
fn cold() -> bool {
    compile(&BuildOptions::new("Dockerfile", "."), divan::black_box(THREE_STAGES), &Constant).plan.is_some()
}

#[divan::bench]
fn comment_edit(bencher: divan::Bencher<'_, '_>) {
    let mut session = Session::new(BuildOptions::new("Dockerfile", "."), THREE_STAGES);
    session.compile(&Constant);
    let mut edits = 0u32;
    bencher.bench_local(|| {
        edits += 1;
        session.set_text(&format!("# {edits}\n{THREE_STAGES}"));
        session.compile(&Constant).plan.is_some()
    });
}

fn main() {
    divan::main();
}
