// A consumer on kafkajs that sets aside by itself what it can't handle: kafkajs has no dead letters of its own.
//
//   billing.cjs COUNT FROM RETRY DEAD   handles COUNT messages of FROM: an amount of 12 fails for good, 11 once more on RETRY and then no more
//
// The broker comes from KAFKA, the consumer group from GROUP. Ends when all are settled.
'use strict';

const { Kafka, logLevel } = require('kafkajs');

const [count, from, retry, dead] = process.argv.slice(2);
const group = process.env.GROUP;
const kafka = new Kafka({ clientId: `${group}-1`, brokers: [process.env.KAFKA], logLevel: logLevel.ERROR });

class CardDeclined extends Error {
  name = 'CardDeclined';
}

function charge(order, attempt) {
  if (order.amount === 12 || (order.amount === 11 && attempt < 2)) throw new CardDeclined(`card declined for ${order.orderId}`);
}

async function main() {
  const producer = kafka.producer();
  const consumer = kafka.consumer({ groupId: group });
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topics: [from, retry], fromBeginning: true });
  let settled = 0;
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`only ${settled} of ${count} were settled within 60 s`)), 60_000).unref();
    consumer.run({
      eachMessage: async ({ topic, partition, message }) => {
        const attempt = Number(message.headers['x-retry-count'] ?? 0) + 1;
        try {
          charge(JSON.parse(message.value), attempt);
        } catch (error) {
          const place = topic === from ? { topic, partition, offset: message.offset } : {};
          await producer.send({
            topic: attempt < 2 ? retry : dead,
            messages: [
              {
                key: message.key,
                value: message.value,
                headers: {
                  ...message.headers,
                  ...(place.topic && {
                    'x-original-topic': topic,
                    'x-original-partition': String(partition),
                    'x-original-offset': message.offset,
                  }),
                  'x-consumer-group': group,
                  'x-retry-count': String(attempt),
                  'x-error-name': error.name,
                  'x-error-message': error.message,
                  'x-error-stack': error.stack,
                  'x-failed-at': new Date().toISOString(),
                },
              },
            ],
          });
          if (attempt < 2) return;
        }
        settled += 1;
        if (settled === Number(count)) resolve();
      },
    });
  });
  await consumer.disconnect();
  await producer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
