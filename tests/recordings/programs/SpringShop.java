import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.BackOff;
import org.springframework.kafka.annotation.DltHandler;
import org.springframework.kafka.annotation.EnableKafkaRetryTopic;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.annotation.RetryableTopic;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.scheduling.TaskScheduler;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import org.springframework.util.backoff.FixedBackOff;

/**
 * Spring Kafka's two ways to deal with failure, run under OpenTelemetry's Java agent: nothing here writes a header.
 *
 * <p>billing reads five orders with {@code @RetryableTopic} (retry topics with back-off 200 ms and 400 ms, then the dead-letter topic):
 * the order of 11 fails twice and then succeeds, the order of 12 fails for good, the others succeed and are answered on payments.
 * ledger reads payments with a {@code DefaultErrorHandler} (one retry in memory, then {@code DeadLetterPublishingRecoverer}): the payment of 13 fails for good.
 */
@Configuration
@EnableKafkaRetryTopic
public class SpringShop {
  private static final CountDownLatch SETTLED = new CountDownLatch(5 + 4);
  private final Map<String, Integer> attempts = new ConcurrentHashMap<>();

  public static final class CardDeclined extends RuntimeException {
    CardDeclined(String order) {
      super("card declined for " + order);
    }
  }

  public static final class LedgerClosed extends RuntimeException {
    LedgerClosed(String order) {
      super("the ledger is closed for " + order);
    }
  }

  public static void main(String[] arguments) throws Exception {
    try (var context = new AnnotationConfigApplicationContext(SpringShop.class)) {
      if (!SETTLED.await(60, TimeUnit.SECONDS)) throw new IllegalStateException("not everything was settled within 60 s");
      Thread.sleep(2_000); // the last dead letter is on its way
    }
  }

  @RetryableTopic(attempts = "3", backOff = @BackOff(delay = 200, multiplier = 2), autoCreateTopics = "false")
  @KafkaListener(topics = "orders", groupId = "billing")
  public void bill(ConsumerRecord<String, String> record) {
    String order = field(record.value(), "orderId");
    int amount = Integer.parseInt(field(record.value(), "amount"));
    int attempt = attempts.merge(order, 1, Integer::sum);
    if (amount == 12 || amount == 11 && attempt < 3) throw new CardDeclined(order);
    template().send("payments", order, event("PaymentAuthorized", order, amount)).join();
    SETTLED.countDown();
  }

  @DltHandler
  public void died(ConsumerRecord<String, String> record) {
    SETTLED.countDown();
  }

  @KafkaListener(topics = "payments", groupId = "ledger", containerFactory = "recovering")
  public void book(ConsumerRecord<String, String> record) {
    if (field(record.value(), "amount").equals("13")) {
      if (attempts.merge(record.key() + " booked", 1, Integer::sum) == 2) SETTLED.countDown();
      throw new LedgerClosed(record.key());
    }
    SETTLED.countDown();
  }

  @Bean
  public KafkaTemplate<String, String> template() {
    return new KafkaTemplate<>(new DefaultKafkaProducerFactory<>(client("Serializer", "key.serializer", "value.serializer")));
  }

  @Bean
  public ConsumerFactory<String, String> consumers() {
    var settings = client("Deserializer", "key.deserializer", "value.deserializer");
    settings.put("auto.offset.reset", "earliest");
    return new DefaultKafkaConsumerFactory<>(settings);
  }

  @Bean
  public ConcurrentKafkaListenerContainerFactory<String, String> kafkaListenerContainerFactory() {
    var factory = new ConcurrentKafkaListenerContainerFactory<String, String>();
    factory.setConsumerFactory(consumers());
    return factory;
  }

  @Bean
  public ConcurrentKafkaListenerContainerFactory<String, String> recovering() {
    var factory = kafkaListenerContainerFactory();
    factory.setCommonErrorHandler(new DefaultErrorHandler(new DeadLetterPublishingRecoverer(template()), new FixedBackOff(100, 1)));
    return factory;
  }

  @Bean
  public TaskScheduler scheduler() {
    return new ThreadPoolTaskScheduler();
  }

  private static Map<String, Object> client(String kind, String... names) {
    var settings = new HashMap<String, Object>(Map.of("bootstrap.servers", System.getenv("KAFKA")));
    for (String name : names) settings.put(name, "org.apache.kafka.common.serialization.String" + kind);
    return settings;
  }

  private static String event(String type, String order, int amount) {
    return "{\"eventId\":\"%s\",\"eventType\":\"%s\",\"occurredAt\":\"%s\",\"producer\":\"billing\",\"version\":1,\"orderId\":\"%s\",\"amount\":%d}"
        .formatted(UUID.randomUUID(), type, Instant.now().truncatedTo(ChronoUnit.MILLIS), order, amount);
  }

  private static String field(String json, String name) {
    Matcher matcher = Pattern.compile("\"" + name + "\":\\s*\"?([^\",}]*)").matcher(json);
    if (!matcher.find()) throw new IllegalArgumentException("no " + name + " in " + json);
    return matcher.group(1);
  }
}
