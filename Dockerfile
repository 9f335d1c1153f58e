# One image, every process: docker-compose.yml says which. The steps are the Makefile's own.
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 lynceus
WORKDIR /app
COPY --chown=lynceus requirements.txt Makefile ./
COPY --chown=lynceus frontend frontend
RUN mkdir -p /app/var && chown -R lynceus /app
USER lynceus
RUN make install
COPY --chown=lynceus . .
# Development settings make keys of their own: not in the image.
RUN DJANGO_SETTINGS_MODULE=config.settings.dev LYNCEUS_VAR=/tmp/build make static && rm -r /tmp/build
# An image holds no repository to ask which code made a model.
ARG LYNCEUS_COMMIT=""
ENV PATH=/app/.venv/bin:$PATH DJANGO_SETTINGS_MODULE=config.settings.production PYTHONUNBUFFERED=1 LYNCEUS_COMMIT=$LYNCEUS_COMMIT
CMD ["honcho", "start", "web"]
