// A small shop on kafkajs with OpenTelemetry's own instrumentation (@opentelemetry/instrumentation-kafkajs).
//
//   shop.cjs place COUNT TOPIC          shop-api: publishes OrderPlaced, COUNT times, each under a request span of its own
//   shop.cjs place-bare COUNT TOPIC     the same in one send() without a request span: each send span starts its own trace
//   shop.cjs bill COUNT FROM TO         billing: eachMessage, publishes PaymentAuthorized for each
//   shop.cjs bill-batch COUNT FROM TO   billing: eachBatch, all follow-ups published under the poll span of the batch
//   shop.cjs book COUNT FROM            ledger: eachMessage, reads only
//
// The broker comes from KAFKA, everything else from OpenTelemetry's own variables (OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_ENDPOINT...).
'use strict';

const { randomUUID } = require('node:crypto');
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { KafkaJsInstrumentation } = require('@opentelemetry/instrumentation-kafkajs');
const { SpanKind, trace } = require('@opentelemetry/api');

const sdk = new NodeSDK({ instrumentations: [new KafkaJsInstrumentation()] });
sdk.start();

// Only now: the instrumentation replaces what this require returns.
const { Kafka, logLevel } = require('kafkajs');

const service = process.env.OTEL_SERVICE_NAME;
const kafka = new Kafka({ clientId: `${service}-1`, brokers: [process.env.KAFKA], logLevel: logLevel.ERROR });
const tracer = trace.getTracer('shop');

const event = (eventType, orderId, more) => ({
  eventId: randomUUID(),
  eventType,
  occurredAt: new Date().toISOString(),
  producer: service,
  version: 1,
  orderId,
  ...more,
});
const message = (body) => ({ key: body.orderId, value: JSON.stringify(body) });
const authorized = (placed) => event('PaymentAuthorized', placed.orderId, { amount: placed.amount });

async function withProducer(use) {
  const producer = kafka.producer();
  await producer.connect();
  await use(producer);
  await producer.disconnect();
}

async function place(count, topic, bare) {
  const run = randomUUID().slice(0, 6);
  const orderId = (number) => `order-${run}-${String(number).padStart(4, '0')}`;
  await withProducer(async (producer) => {
    if (bare) {
      const messages = Array.from({ length: count }, (_, number) => message(event('OrderPlaced', orderId(number), { amount: 10 + number })));
      await producer.send({ topic, messages });
      return;
    }
    for (let number = 0; number < count; number += 1) {
      await tracer.startActiveSpan('POST /orders', { kind: SpanKind.SERVER }, async (span) => {
        const { traceId } = span.spanContext();
        const placed = event('OrderPlaced', orderId(number), { traceId, amount: 10 + number });
        await producer.send({ topic, messages: [message(placed)] });
        span.end();
      });
    }
  });
}

// Runs a consumer until `count` messages were handled; `run` is kafkajs's own configuration made from the counter.
async function consume(count, topic, run) {
  const consumer = kafka.consumer({ groupId: service });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  let seen = 0;
  await new Promise((resolve, reject) => {
    const patience = setTimeout(() => reject(new Error(`only ${seen} of ${count} messages came within 60 s`)), 60_000);
    const handled = (more) => {
      seen += more;
      if (seen >= count) {
        clearTimeout(patience);
        resolve();
      }
    };
    consumer.run(run(handled)).catch(reject);
  });
  await consumer.stop();
  await consumer.disconnect();
}

async function bill(count, from, to) {
  await withProducer((producer) =>
    consume(count, from, (handled) => ({
      eachMessage: async ({ message: received }) => {
        await producer.send({ topic: to, messages: [message(authorized(JSON.parse(received.value)))] });
        handled(1);
      },
    })),
  );
}

async function billBatch(count, from, to) {
  await withProducer((producer) =>
    consume(count, from, (handled) => ({
      eachBatch: async ({ batch }) => {
        const messages = batch.messages.map((received) => message(authorized(JSON.parse(received.value))));
        await producer.send({ topic: to, messages });
        handled(batch.messages.length);
      },
    })),
  );
}

const book = (count, from) => consume(count, from, (handled) => ({ eachMessage: async () => handled(1) }));

async function main([role, count, from, to]) {
  const n = Number(count);
  if (role === 'place') await place(n, from, false);
  else if (role === 'place-bare') await place(n, from, true);
  else if (role === 'bill') await bill(n, from, to);
  else if (role === 'bill-batch') await billBatch(n, from, to);
  else if (role === 'book') await book(n, from);
  else throw new Error('usage: shop.cjs place|place-bare|bill|bill-batch|book COUNT TOPIC [TO]');
  await sdk.shutdown();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
