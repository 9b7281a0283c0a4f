# Sillage and the demonstration shop in one image: `sillage` by default, `shop` by naming it.
FROM rust:1.90-bookworm AS build
WORKDIR /src
COPY . .
# What people build by hand is what is built here: same profile, same lock file. The caches are not part of the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package sillage --package demo --bins && \
    install -D -t /out target/release/sillage target/release/shop

FROM debian:bookworm-slim
# For TLS to brokers, registries and webhooks.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 7455 --home-dir /var/lib/sillage --create-home sillage
COPY --from=build /out/sillage /out/shop /usr/local/bin/
USER sillage
WORKDIR /var/lib/sillage
VOLUME /var/lib/sillage
# console, OTLP over gRPC, OTLP over HTTP
EXPOSE 7455 4317 4318
ENTRYPOINT []
CMD ["sillage", "serve"]
