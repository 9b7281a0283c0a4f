import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * A small shop on Kafka's own Java client, run under OpenTelemetry's Java agent: nothing here knows of tracing.
 *
 * <pre>
 *   Shop place COUNT TOPIC     shop-api: publishes OrderPlaced, COUNT times
 *   Shop bill COUNT FROM TO    billing: publishes PaymentAuthorized for each
 *   Shop book COUNT FROM       ledger: reads only
 * </pre>
 *
 * The broker comes from KAFKA, everything else from OpenTelemetry's own variables.
 */
public final class Shop {
  private static final String SERVICE = System.getenv("OTEL_SERVICE_NAME");
  private static final Map<String, Object> CLIENT = Map.of("bootstrap.servers", System.getenv("KAFKA"), "client.id", SERVICE + "-1");
  private static final String SERDE = "org.apache.kafka.common.serialization.String";

  private interface Reaction {
    void to(ConsumerRecord<String, String> record) throws Exception;
  }

  public static void main(String[] arguments) throws Exception {
    int count = Integer.parseInt(arguments[1]);
    String topic = arguments[2];
    switch (arguments[0]) {
      case "place" -> place(count, topic);
      case "bill" -> {
        try (var producer = producer()) {
          consume(count, topic, record -> {
            String order = field(record.value(), "orderId");
            int amount = Integer.parseInt(field(record.value(), "amount"));
            producer.send(new ProducerRecord<>(arguments[3], order, event("PaymentAuthorized", order, amount))).get();
          });
        }
      }
      case "book" -> consume(count, topic, record -> {});
      default -> throw new IllegalArgumentException("place, bill or book");
    }
  }

  private static void place(int count, String topic) throws Exception {
    String run = UUID.randomUUID().toString().substring(0, 6);
    try (var producer = producer()) {
      for (int number = 0; number < count; number++) {
        String order = "order-%s-%04d".formatted(run, number);
        producer.send(new ProducerRecord<>(topic, order, event("OrderPlaced", order, 10 + number))).get();
      }
    }
  }

  /** Hands COUNT records over; the agent makes its span current in the body of the loop over the records. */
  private static void consume(int count, String topic, Reaction reaction) throws Exception {
    var settings = new java.util.HashMap<>(CLIENT);
    settings.putAll(Map.of("group.id", SERVICE, "auto.offset.reset", "earliest", "enable.auto.commit", "false",
        "key.deserializer", SERDE + "Deserializer", "value.deserializer", SERDE + "Deserializer"));
    long patience = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    try (var consumer = new KafkaConsumer<String, String>(settings)) {
      consumer.subscribe(List.of(topic));
      for (int seen = 0; seen < count; ) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
          reaction.to(record);
          seen++;
        }
        if (seen < count && System.nanoTime() > patience) {
          throw new IllegalStateException("only %d of %d records came within 60 s".formatted(seen, count));
        }
      }
      consumer.commitSync();
    }
  }

  private static KafkaProducer<String, String> producer() {
    var settings = new java.util.HashMap<>(CLIENT);
    settings.putAll(Map.of("key.serializer", SERDE + "Serializer", "value.serializer", SERDE + "Serializer"));
    return new KafkaProducer<>(settings);
  }

  private static String event(String type, String order, int amount) {
    return "{\"eventId\":\"%s\",\"eventType\":\"%s\",\"occurredAt\":\"%s\",\"producer\":\"%s\",\"version\":1,\"orderId\":\"%s\",\"amount\":%d}"
        .formatted(UUID.randomUUID(), type, Instant.now().truncatedTo(ChronoUnit.MILLIS), SERVICE, order, amount);
  }

  private static String field(String json, String name) {
    Matcher matcher = Pattern.compile("\"" + name + "\":\\s*\"?([^\",}]*)").matcher(json);
    if (!matcher.find()) throw new IllegalArgumentException("no " + name + " in " + json);
    return matcher.group(1);
  }
}
