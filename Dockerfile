# fluid-cli with a shell and nothing else. It runs as nobody in particular, and writes to no place of its image.
FROM rust:1-slim-bookworm AS build
WORKDIR /src
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev make
COPY . .
RUN cargo build --release --locked --package fluid-cli

FROM debian:bookworm-slim
COPY --from=build /src/target/release/fluid-cli /usr/local/bin/fluid-cli
USER 65532:65532
ENTRYPOINT ["fluid-cli"]
CMD ["serve"]
