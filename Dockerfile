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
RUN DJANGO_SETTINGS_MODULE=config.settings.dev make static
ENV PATH=/app/.venv/bin:$PATH DJANGO_SETTINGS_MODULE=config.settings.production PYTHONUNBUFFERED=1
CMD ["honcho", "start", "web"]
